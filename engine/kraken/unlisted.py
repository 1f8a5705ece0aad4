"""Which endpoint a call means, also where the table has none: what is allowed then follows from its class.

Kraken adds endpoints between releases of this engine. The caller of such an endpoint names its class:

    ======== ============================================================================================
    read     changes nothing
    settle   changes nothing; finds out what became of an order: goes before every read
    order    may trade: needs a live engine, and is never repeated automatically
    cancel   cancels orders: goes before all others, also if the engine is not live
    funds    moves money out or between accounts: needs a live engine and ``allow_withdrawals``
    ======== ============================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.errors import CallNotSent, UnknownName
from engine.kraken.endpoints import PRIVATE, PUBLIC, CallClass, Endpoint, private_endpoint, public_endpoint

CLASSES: Mapping[str, CallClass] = {
    "read": CallClass.READ,
    "settle": CallClass.SETTLE,
    "order": CallClass.ORDER,
    "cancel": CallClass.CANCEL,
    "funds": CallClass.ORDER,
}
DEAREST = 4  # points of the REST counter: what Kraken charges at most for a call, by the dearest of its pages

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,47}(/[A-Za-z][A-Za-z0-9]{0,47}){0,2}")
_ANY_SHAPE: tuple[type, ...] = (dict, list, str, bool, int, Decimal, type(None))
_KNOWN = frozenset(name.lower() for name in (*PRIVATE, *PUBLIC, "RetrieveExport"))


def endpoint_of(name: str, params: Mapping[str, Any], endpoint_class: str | None = None) -> Endpoint:
    """The private endpoint that a call with these parameters means.

    Raises `UnknownName` for a name that is not in the table and has no class, or is not a valid name, and `CallNotSent`
    for a class that does not exist or contradicts the table.
    """
    _check_class(endpoint_class)
    if isinstance(name, str) and name not in PRIVATE and endpoint_class is not None:
        return _unlisted(name, endpoint_class, params)
    found = private_endpoint(name).with_params(params)
    if endpoint_class is not None and endpoint_class not in _classes_of(found):
        right = " or ".join(map(repr, _classes_of(found)))
        raise CallNotSent(f"{name} is {right} and not {endpoint_class!r}: leave its endpoint_class out.", endpoint=name)
    return found


def public_endpoint_of(name: str, endpoint_class: str | None = None) -> Endpoint:
    """The same for a public call, which is always a read."""
    _check_class(endpoint_class)
    if endpoint_class not in (None, "read"):
        raise CallNotSent(f"A public call is a read and not {endpoint_class!r}.", endpoint=str(name)[:64])
    if endpoint_class is None or (isinstance(name, str) and name in PUBLIC):
        return public_endpoint(name)
    _check_name(name, public_endpoint)
    return Endpoint(name=name, cost=0, public=True, shape=_ANY_SHAPE)


def _classes_of(endpoint: Endpoint) -> tuple[str, ...]:
    """The classes that are right for a known endpoint; whether a read settles an order follows from its parameters."""
    if endpoint.funds:
        return ("funds",)
    return (endpoint.call_class.name.lower(),) if endpoint.writes else ("read", "settle")


def _unlisted(name: str, endpoint_class: str, params: Mapping[str, Any]) -> Endpoint:
    _check_name(name, private_endpoint)
    return Endpoint(
        name=name,
        call_class=CLASSES[endpoint_class],
        cost=DEAREST,
        writes=endpoint_class in ("order", "cancel", "funds"),
        places=endpoint_class == "order",
        funds=endpoint_class == "funds",
        json=any(_is_nested(value) for value in params.values()),
        shape=_ANY_SHAPE,
    )


def _check_class(endpoint_class: object) -> None:
    if endpoint_class is not None and (not isinstance(endpoint_class, str) or endpoint_class not in CLASSES):
        raise CallNotSent(f"{str(endpoint_class)[:40]!r} is not an endpoint_class: use one of {', '.join(CLASSES)}.")


def _check_name(name: object, find: Any) -> None:
    """A name that is spelt almost like a known one would be called with the wrong class: `find` says which it is."""
    if isinstance(name, str) and name.lower() in _KNOWN:
        find(name)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UnknownName(
            f"{str(name)[:64]!r} is not the name of an endpoint: a name is letters and digits such as 'Balance', "
            "or several of them with a slash between, such as 'Earn/Allocate'."
        )


def _is_nested(value: object) -> bool:
    """Whether a form cannot carry it."""
    inner = value if isinstance(value, list | tuple) else ()
    return isinstance(value, Mapping) or any(isinstance(each, Mapping | list | tuple) for each in inner)
