"""Who owns a state directory and an API key (promise G2): at most one engine on the machine.

A directory is owned through ``owner.lock`` (`file_lock`); on Linux it is claimed by its inode as well, for the case
that somebody deletes that file. An API key is claimed by name, machine-wide: by an abstract Unix socket on Linux, which
is one for each network namespace (`socket_claim`), and by lock files, which all see that share a file system
(`key_file`).
"""

from engine.ownership.ownership import LOCK_NAME, Ownership, owner_pid

__all__ = ["LOCK_NAME", "Ownership", "owner_pid"]
