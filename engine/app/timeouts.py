"""A caller's timeout, as every method of `Engine` and `RemoteEngine` takes it."""

from __future__ import annotations

from engine.errors import ConfigError

LONGEST = 1_000_000  # seconds


def seconds_of(timeout: float | None, default: float) -> float:
    """A caller's timeout, or the default for `None`. Raises `ConfigError` for an invalid one."""
    if timeout is None:
        return default
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not -LONGEST <= timeout <= LONGEST:
        raise ConfigError(f"Invalid timeout: {timeout!r}. Give seconds as a number up to {LONGEST:,}.")
    return timeout
