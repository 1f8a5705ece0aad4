"""Who owns a state directory and an API key (promise G2): at most one engine on the machine.

A directory is owned through ``owner.lock`` (`directory_lock`); on Linux it is claimed by its inode as well, for the
case that somebody deletes that file. An API key is claimed machine-wide (`key_claim`): by locks in a few files of each
of the directories of `key_places`, which all see that share a file system, and by an abstract Unix socket on Linux,
which is one for each network namespace (`socket_claim`). Only the socket costs a descriptor for each key, so there are
no more of them than a third of what the process may open.
"""

from engine.ownership.ownership import LOCK_NAME, Ownership, files_needed, owner_pid

__all__ = ["LOCK_NAME", "Ownership", "files_needed", "owner_pid"]
