"""The commands by name, each imported when it is used: all of them take longer than most need."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator, MutableMapping
from importlib.abc import InspectLoader

import click

_PLACES = {
    **{name: name for name in ("alert", "balances", "call", "cluster", "demo", "doctor", "init", "nonce", "orders")},
    **{name: name for name in ("resume", "serve", "simulate", "status", "trade", "watch")},
    "pause-trading": "pause_trading:pause_trading", "resume-trading": "pause_trading:resume_trading",
    "order": "orders:order", "cancel": "orders:cancel", "gateway-key": "gateway_key", "help": "manual:help_",
}  # fmt: skip
"""Where each command is: a module of `engine.cli`, and what it is called there where that is not the module's name."""


class Commands(MutableMapping[str, click.Command]):
    """The commands by name. Each is imported when it is first looked at: all of them take longer than most need."""

    def __init__(self) -> None:
        self._places = dict(_PLACES)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = self._places[name].partition(":")
            self._loaded[name] = getattr(importlib.import_module(f"engine.cli.{module}"), attribute or module)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places[name], self._loaded[name] = "", command

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def listed(self, name: str) -> click.Command:
        """What stands for a command in a list: its name and help, from its source where that is there."""
        module, _, attribute = self._places[name].partition(":")
        text = None if name in self._loaded else _docstring(f"engine.cli.{module}", attribute or module)
        return self[name] if text is None else click.Command(name, help=text)


class CommandGroup(click.Group):
    """A group that lists its commands without importing them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click writes the list."""
        commands = self.commands
        if not isinstance(commands, Commands):
            super().format_commands(ctx, formatter)
            return
        click.Group(commands={name: commands.listed(name) for name in commands}).format_commands(ctx, formatter)


def _docstring(module: str, function: str) -> str | None:
    """That of a function whose module need not be imported; `None` where only the compiled form is there."""
    spec = importlib.util.find_spec(module)
    loader = None if spec is None else spec.loader
    source = loader.get_source(module) if isinstance(loader, InspectLoader) else None
    made = [each for each in ast.parse(source or "").body if isinstance(each, ast.FunctionDef)]
    return next((ast.get_docstring(each) for each in made if each.name == function), None)
