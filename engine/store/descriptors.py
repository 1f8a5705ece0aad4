"""File descriptors: how many this process may have, and what to do when there are too few."""

from __future__ import annotations

import errno
import resource
import sys

MORE_FILES = "Let it open more: 'ulimit -n 65536' before it is started, or LimitNOFILE=65536 in its systemd unit."


def most_files() -> int:
    """How many descriptors this process may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def is_shortage(error: BaseException | None) -> bool:
    """Whether something failed for want of a descriptor."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
