"""The fault script: the faults to apply, and the calls they have met."""

from __future__ import annotations

import math
import threading

from engine.simulator.faults import Fault
from engine.simulator.server import Gone, Link


class ScriptedFault:
    """A fault in the script. `used` counts the calls that met it."""

    def __init__(self, fault: Fault, script: FaultScript) -> None:
        self.fault = fault
        self.used = 0
        self.is_removed = False
        self._script = script

    def remove(self) -> None:
        """Remove it from the script; calls that it holds go on at once."""
        self._script.remove(self)

    def strikes(self, endpoint: str, account: str | None) -> bool:
        """Whether it applies to a call and is not used up."""
        fault = self.fault
        is_left = fault.times is None or self.used < fault.times
        fits = fault.endpoint in (None, endpoint) and fault.account in (None, account)
        return is_left and fits


class FaultScript:
    """Assigns faults to calls, in the order they were added. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._script: list[ScriptedFault] = []

    def add(self, fault: Fault, *, first: bool = False) -> ScriptedFault:
        """Put a fault at the end of the script, or at its beginning."""
        scripted = ScriptedFault(fault, self)
        with self._changed:
            self._script.insert(0 if first else len(self._script), scripted)
        return scripted

    def remove(self, *scripted: ScriptedFault) -> None:
        """Remove these faults; without arguments, all."""
        with self._changed:
            for gone in scripted or tuple(self._script):
                gone.is_removed = True
                if gone in self._script:
                    self._script.remove(gone)
            self._changed.notify_all()

    def wake(self) -> None:
        """Wake all waiting calls, so that they notice a closing server."""
        with self._changed:
            self._changed.notify_all()

    def take(self, endpoint: str, account: str | None) -> list[ScriptedFault]:
        """The faults for this call: the first match of each slot."""
        taken: dict[str, ScriptedFault] = {}
        with self._changed:
            for scripted in self._script:
                if scripted.fault.slot not in taken and scripted.strikes(endpoint, account):
                    taken[scripted.fault.slot] = scripted
                    scripted.used += 1
        return list(taken.values())

    def hold(self, scripted: ScriptedFault, link: Link) -> None:
        """Wait as the fault says, or until it is removed. Raises `Gone` when the server closes."""
        pause = scripted.fault.pause
        if pause is None:
            return
        with self._changed:
            seconds = pause()
            self._changed.wait_for(
                lambda: scripted.is_removed or link.is_closing,
                None if seconds == math.inf else seconds,
            )
        if link.is_closing:
            raise Gone
