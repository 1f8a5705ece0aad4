"""What is mutated, and the tests that should notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """Modules (folders or files below the root), and the tests that are run for them.

    The tests are the fast ones that are about the room; each mutant gets those of them that run its line.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]


_LANE_TESTS = tuple(
    f"tests/actors/lane/test_{name}.py"
    for name in ("limits", "listener", "otp", "outcomes", "priority_mailbox", "private", "queued_call", "report",
                 "trusted_clock")
)  # fmt: skip
_PLACE = "tests/app/test_place.py"

ROOMS = {
    "rules/lane": Room(
        ("engine/rules/lane",), ("tests/rules/lane", "tests/machines/test_nonce_machine.py", *_LANE_TESTS)
    ),
    "rules/balance": Room(("engine/rules/balance",), ("tests/rules/balance", "tests/actors/balance")),
    "rules/order": Room(("engine/rules/order",), ("tests/rules/order", "tests/actors/order", _PLACE)),
    "rules/gates": Room(("engine/rules/gates",), ("tests/rules/gates",)),
    "nonces": Room(("engine/store/nonces.py",), ("tests/store/test_nonces.py", "tests/machines/test_nonce_machine.py")),
    "actors/lane": Room(("engine/actors/lane",), _LANE_TESTS),
    "actors/order": Room(("engine/actors/order",), ("tests/actors/order", _PLACE)),
}
