"""The nonces of every API key: the sequence of `engine.rules.lane.nonce` over durable marks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from engine.errors import ConfigError
from engine.rules.lane.nonce import HIGHEST, Durable, NonceSequence, Renew, Reserve
from engine.store.backing import Marks, Soon, Warn
from engine.store.file_marks import FileMarks, Verify, log_warning, owned
from engine.store.nonce_files import COPY_NAME, FILE_NAME, read_marks
from engine.store.writer import Store
from engine.values import SYSTEM_CLOCK, Clock

__all__ = ["COPY_NAME", "FILE_NAME", "Nonces", "file_nonces", "read_marks"]


class Nonces:
    """Durable nonces by key id (`Account.key_id`), over marks that it closes. One owner, one thread at a time.

    Guarantees (G1): for each key, every nonce issued is greater than every nonce ever issued above these marks,
    whatever was killed in between and wherever the wall clock jumps; the durable mark is at least the last one issued.

    `soon` runs a callback in another thread. With it, the mark of a key in use is renewed there while nonces below the
    present mark are issued, so that none waits for the disk; the mark of an idle key is not renewed. When a renewal
    fails or comes too late, `issue` reserves by itself, and raises what goes wrong.
    """

    def __init__(self, marks: Marks, *, clock: Clock = SYSTEM_CLOCK, soon: Soon | None = None) -> None:
        self._marks = marks
        self._clock = clock
        self._soon = soon
        self._sequences: dict[str, NonceSequence] = {}

    def issue(self, key_id: str, *, cancel: bool = False) -> int:
        """The next nonce of a key. Raises `NonceNotDurable` when the store fails; `cancel` may use those kept."""
        sequence, now = self._sequences.get(key_id) or self._sequence(key_id), self._clock.wall_ns()
        return sequence.issue_easily(now) or sequence.issue(now, *self._durability(key_id), cancel=cancel)

    def skip_to(self, key_id: str, nonce: int) -> None:
        """Make the next nonce of a key higher than `nonce`. A number below the present one changes nothing.

        Raises `ConfigError` for a number that cannot be a nonce, `StoreError` when it cannot be written.
        """
        if not 0 <= nonce < HIGHEST:
            raise ConfigError(f"{nonce} cannot be a nonce: use a whole number from 0 to 2**63 - 2.")
        self._sequence(key_id).skip_to(nonce, partial(self._marks.reserve, key_id))

    def came_back(self, key_id: str) -> None:
        """A key was taken again: what another owner has used meanwhile is below the mark that it came with."""
        sequence, inherited = self._sequences.get(key_id), self._marks.inherited(key_id)
        if sequence is not None and inherited > sequence.last:
            sequence.mark = max(sequence.mark, inherited)
            sequence.last = inherited

    def mark(self, key_id: str) -> int:
        """The durable mark of a key; 0 when it has none."""
        return self._marks.durable(key_id)

    def lead(self, key_id: str) -> float:
        """Seconds by which the nonces of a key are ahead of the clock; 0 when they follow it. Any thread."""
        sequence = self._sequences.get(key_id)
        last = self._marks.inherited(key_id) if sequence is None else sequence.last
        return max(0.0, (last - self._clock.wall_ns()) / 1e9)

    def moment(self, only: Collection[str] = ()) -> NonceMoment:
        """The last nonces and the marks of all keys, or of only those, as they are now. Any thread."""
        known = self._sequences
        used = [(key_id, known.get(key_id)) for key_id in only] if only else tuple(known.items())
        last = {key_id: sequence.last for key_id, sequence in used if sequence is not None}
        marks = {key_id: self._marks.durable(key_id) for key_id in only} if only else self._marks.all_durable()
        return NonceMoment(self._clock.wall_ns(), last, marks)

    @property
    def reservations(self) -> int:
        """The number of marks made durable since the start."""
        return self._marks.reservations

    @property
    def write_seconds(self) -> float:
        """Seconds that these writes took in total."""
        return self._marks.write_seconds

    def close(self) -> None:
        """Close the marks. A second call does nothing."""
        self._marks.close()

    def _sequence(self, key_id: str) -> NonceSequence:
        if key_id not in self._sequences:
            self._sequences[key_id] = NonceSequence.above(self._marks.inherited(key_id))
        return self._sequences[key_id]

    def _durability(self, key_id: str) -> tuple[Reserve, Renew | None, Durable]:
        """How marks of a key are made durable; made anew each time, which is rare, since there may be many keys."""
        marks = self._marks
        renew = None if self._soon is None else partial(marks.renew, self._soon, key_id)
        return partial(marks.reserve, key_id), renew, partial(marks.durable, key_id)


class NonceMoment(NamedTuple):
    """The nonces at one moment."""

    wall_ns: int
    last: Mapping[str, int]
    """The last nonce issued, by key id."""
    marks: Mapping[str, int]
    """The durable marks, by key id."""

    def lead(self, key_id: str) -> float:
        """Seconds by which the nonces of a key were ahead of the clock; 0 when they followed it."""
        return max(0.0, (self.last.get(key_id, self.marks.get(key_id, 0)) - self.wall_ns) / 1e9)


def file_nonces(
    directory: Path,
    *,
    clock: Clock = SYSTEM_CLOCK,
    open_store: Callable[[Path], Store] = Store,
    warn: Warn = log_warning,
    soon: Soon | None = None,
    verify: Verify = owned,
) -> Nonces:
    """The nonces of a state directory (`FileMarks`)."""
    return Nonces(FileMarks(directory, warn, open_store=open_store, verify=verify), clock=clock, soon=soon)
