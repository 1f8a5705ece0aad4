"""What `validate` says: a dry run, a plain no, or something that must not be guessed.

Kraken's reference calls it a boolean and does not say what it makes of other spellings; in form text even ``false`` was
once seen to mean "validate only". So three readings are known everywhere in the engine. An order that somebody may have
meant as a dry run never goes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import WrongParameter
from engine.kraken.endpoints import Endpoint

NAME = "validate"


def settled(endpoint: Endpoint, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters with `validate` as Kraken knows it: ``True`` for a dry run, else left out.

    ``True``, ``1``, ``"true"``, ``"True"`` and ``"1"`` mean a dry run; ``False``, ``"false"`` and ``"False"`` mean none
    (python-kraken-sdk sends that with every order). Raises `WrongParameter` for anything else, for another spelling of
    the name, inside the orders of a batch, and for a dry run of what has none. Calls that change nothing are left
    alone.
    """
    if not endpoint.writes:
        return params
    found = _without_no(params, endpoint.name)
    if NAME in found and not endpoint.validates:
        raise _wrong(f"Kraken knows no dry run of {endpoint.name}: leave '{NAME}' out to have it done.")
    orders = found.get("orders")
    if isinstance(orders, list | tuple):
        read = [_order(each, endpoint.name) for each in orders]
        if any(after is not before for after, before in zip(read, orders, strict=True)):
            found = {**found, "orders": read}
    return found


def _without_no(params: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """The parameters with the reading of `validate`; the same object when it is not there."""
    for name in params:
        if isinstance(name, str) and name != NAME and name.strip().lower() == NAME:
            raise _wrong(f"{what} has no parameter {name!r}: write '{NAME}', so that it is not an order.")
    if NAME not in params:
        return params
    if _reads(params[NAME], what):
        return {**params, NAME: True}
    return {name: value for name, value in params.items() if name != NAME}


def _order(order: Any, what: str) -> Any:
    """One order of a batch. Kraken reads `validate` beside the orders, so a yes in one of them is refused."""
    if not isinstance(order, Mapping):
        return order
    found = _without_no(order, what)
    if NAME in found:
        raise _wrong(f"In {what} '{NAME}' stands beside the orders, for all of them, and not inside one.")
    return found


def _reads(value: Any, what: str) -> bool:
    if value is True or (type(value) is int and value == 1) or (type(value) is str and value in ("true", "True", "1")):
        return True
    if value is False or (type(value) is str and value in ("false", "False")):
        return False
    raise _wrong(f"{what} was not sent, as its '{NAME}' is neither true nor false: {_shown(value)}.")


def _wrong(sentence: str) -> WrongParameter:
    return WrongParameter(sentence, name=NAME)


def _shown(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, str | int | float) or value is None else type(value).__name__
