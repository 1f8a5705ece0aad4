"""Faults of the simulator in words, for `simulate --fault` and its console."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from engine.errors import ConfigError
from engine.simulator import Fault

WORDS = """\
A fault is one of
  502                      answer with this HTTP status (300 to 599)
  error=EGeneral:Internal error
                           answer with this error of Kraken's; it has to stand at the end
  hang                     never answer
  reset, close             end the connection without an answer
  empty                    answer with nothing
  delay=0.5                answer so many seconds later
and before it, where wanted
  endpoint=AddOrder        only this endpoint
  account=ALICE            only this account
  times=3                  only so often; without it, for ever
  executed                 the call takes effect, and only its answer is lost
Such as: endpoint=AddOrder times=1 executed hang
"""

_PLAIN: dict[str, Callable[..., Fault]] = {
    "hang": Fault.hang, "reset": Fault.reset, "close": Fault.close, "empty": Fault.empty,
}  # fmt: skip


def fault_of(text: str, accounts: Collection[str]) -> Fault:
    """The fault that these words describe. Raises `ConfigError`."""
    before, is_error, code = text.partition("error=")
    words = before.split()
    where = _where(words, accounts)
    if is_error:
        kind = [*words, code.strip()]
        make: Callable[..., Fault] = Fault.error
        arguments: tuple[object, ...] = (code.strip(),)
    else:
        kind = words
        make, arguments = _kind(words[0] if words else "")
    if len(kind) != 1 or not kind[0]:
        raise ConfigError(f"{text!r} is not a fault: give one kind, at the end. See kraken-engine help simulator.")
    try:
        return make(*arguments, **where)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{text!r} is not a fault: {error}.") from None


def described(fault: Fault) -> str:
    """A fault, which calls it strikes, and how often."""
    where = f"calls of {fault.endpoint}" if fault.endpoint else "every call"
    whose = f" of {fault.account}" if fault.account else ""
    often = "from now on" if fault.times is None else "once" if fault.times == 1 else f"{fault.times} times"
    done = ", after they took effect" if fault.executed else ""
    return f"{fault.name} for {where}{whose}, {often}{done}"


def _kind(word: str) -> tuple[Callable[..., Fault], tuple[object, ...]]:
    name, _, value = word.partition("=")
    if name in _PLAIN and not value:
        return _PLAIN[name], ()
    if word.isascii() and word.isdigit() and 300 <= int(word) <= 599:
        return Fault.http, (int(word),)
    if name == "delay":
        return Fault.delay, (_seconds(value),)
    raise ConfigError(f"{word!r} is not a kind of fault: a status such as 502, error=..., hang, reset, close, empty, "
                      "or delay=SECONDS.")  # fmt: skip


def _where(words: list[str], accounts: Collection[str]) -> dict[str, Any]:
    """Take the words that say which calls it strikes out of `words`."""
    where: dict[str, Any] = {}
    for word in list(words):
        name, _, value = word.partition("=")
        if word == "executed":
            where["executed"] = True
        elif name == "times" and value.isascii() and value.isdigit() and 0 < len(value) < 10:
            where["times"] = int(value)
        elif name == "account":
            if value not in accounts:
                raise ConfigError(f"There is no account {value!r}: {', '.join(accounts)}.")
            where["account"] = value
        elif name == "endpoint" and value.isalnum():
            where["endpoint"] = value
        elif name in ("times", "endpoint"):
            raise ConfigError(f"{word!r} cannot be understood: such as times=3, or endpoint=AddOrder.")
        else:
            continue
        words.remove(word)
    return where


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ConfigError(f"{text!r} is not a number of seconds.")
    return seconds
