"""The rooms of the mutation run are where its table says."""

from __future__ import annotations

import pytest

from tests import ROOT
from tests.mutation.rooms import ROOMS


@pytest.mark.parametrize("name", ROOMS)
def test_modules_and_tests_of_a_room_are_there(name: str) -> None:
    room = ROOMS[name]
    assert [each for each in (*room.modules, *room.tests) if not (ROOT / each).exists()] == []
