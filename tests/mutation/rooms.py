"""What is mutated, and the tests that should notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """Modules and tests, as folders or files below the root. Each fault gets those of the tests that run its line."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


_NONCES = "tests/machines/test_nonce_machine.py"
_PLACE = "tests/app/test_place.py"
_LIVES = ("tests/machines/test_edited_orders.py", "tests/machines/test_streamed_orders.py")
_BATCHES = "tests/web/gateway/test_batches.py"

ROOMS = {
    "nonces": Room(
        ("engine/store/nonces.py", "engine/store/file_marks.py", "engine/store/nonce_files.py"),
        ("tests/store/test_nonces.py", _NONCES),
    ),
    "rules/lane": Room(
        ("engine/rules/lane",), ("tests/rules/lane", _NONCES, "tests/actors/lane")
    ),
    "rules/balance": Room(("engine/rules/balance",), ("tests/rules/balance", "tests/actors/balance")),
    "rules/order": Room(("engine/rules/order",), ("tests/rules/order", "tests/actors/order", *_LIVES, _PLACE)),
    "rules/gates": Room(("engine/rules/gates",), ("tests/rules/gates",)),
    "rules/cluster": Room(("engine/rules/cluster",), ("tests/rules/cluster",)),
    "actors/lane": Room(("engine/actors/lane",), ("tests/actors/lane", "tests/app/test_accounts.py")),
    "actors/backing": Room(
        ("engine/actors/backing",),
        ("tests/actors/backing", "tests/actors/order", "tests/cluster/test_backings.py"),
    ),
    "actors/order": Room(("engine/actors/order",), ("tests/actors/order", *_LIVES, _PLACE, _BATCHES)),
}
