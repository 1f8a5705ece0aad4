"""What was found out about Kraken, as the state directory keeps it: `doctor --settle` writes it, an engine reads it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from engine.actors.events import EngineWarning
from engine.errors import StoreError
from engine.kraken.facts import Facts, Learnt
from engine.store import open_or_replace, read_documents

FILE_NAME = "facts.sqlite"


def read_facts(directory: Path) -> Facts:
    """What is known; the strict answers where there is no file. Raises `StoreError` when it cannot be read."""
    return Facts.of(read_documents(directory / FILE_NAME))


def facts_in_force(
    directory: Path, accounts: Container[str], publish: Callable[[EngineWarning], None]
) -> Facts:
    """What an engine goes by. What keeps one of its accounts from its work is said again at each start."""
    try:
        facts = read_facts(directory)
    except StoreError as error:
        publish(EngineWarning("facts-lost", f"{error} Run `kraken-engine doctor --settle` again."))
        return Facts()
    for each in facts.harmful():
        if each.account in accounts:
            publish(EngineWarning("kraken-fact", f"Account {each.account}: {each.seen} {each.consequence}"))
    return facts


def keep_facts(directory: Path, learnt: Iterable[Learnt]) -> None:
    """Write it down, beside what was learnt before. Only the owner of the directory may. Raises `StoreError`.

    A damaged file is put aside first: the questions can be asked again.
    """
    store, _ = open_or_replace(directory / FILE_NAME)
    with contextlib.closing(store):
        store.put_all({each.key: each.to_dict() for each in learnt})
