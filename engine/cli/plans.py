"""The plans that `serve --trade ACCOUNT=module:plan` names: Python objects of the user's, found by their names."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Collection, Iterable

from engine.errors import ConfigError, UnknownName
from engine.rules.gates.plan import TradePlan

_FORM = "{text!r} does not name a plan: write ACCOUNT=module:plan, such as MASTER=my_bot:plan."
_NO_MODULE = (
    "There is no module {module!r}: name a file {module}.py in the working directory {here}, or an installed module."
)
_FAILED = "The module {module!r} of --trade cannot be imported: {error}."
_NO_PLAN = "The module {module!r} has no {name!r}: it has to hold a TradePlan of that name."
_OTHER = "{module}:{name} is of type {kind}, and --trade takes a TradePlan."


def plans_of(texts: Iterable[str], accounts: Collection[str]) -> dict[str, TradePlan]:
    """The plan of each account. Runs the modules that are named, with the working directory on their path.

    Raises `ConfigError` for what names no plan, or for one that cannot be loaded, and `UnknownName` for an account that
    is not among `accounts`.
    """
    plans: dict[str, TradePlan] = {}
    for text in texts:
        account, module, name = _parts(text)
        if account not in accounts:
            raise UnknownName(f"There is no account {account!r}; configured: {', '.join(accounts)}.", account=account)
        if account in plans:
            raise ConfigError(f"Account {account} has two plans: an account trades by one.")
        plans[account] = _loaded(module, name)
    return plans


def _parts(text: str) -> tuple[str, str, str]:
    account, equals, where = text.partition("=")
    module, colon, name = where.partition(":")
    if not (account and equals and module and colon and name) or module.endswith(".py"):
        raise ConfigError(_FORM.format(text=text))
    return account, module, name


def _loaded(module: str, name: str) -> TradePlan:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)  # `python -m` has it there already, and the installed script does not
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(_NO_MODULE.format(module=module, here=here)) from None
        raise ConfigError(_FAILED.format(module=module, error=str(error).rstrip("."))) from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}".rstrip(".")
        raise ConfigError(_FAILED.format(module=module, error=told)) from error
    if not hasattr(found, name):
        raise ConfigError(_NO_PLAN.format(module=module, name=name))
    plan = getattr(found, name)
    if not isinstance(plan, TradePlan):
        raise ConfigError(_OTHER.format(module=module, name=name, kind=type(plan).__name__))
    return plan
