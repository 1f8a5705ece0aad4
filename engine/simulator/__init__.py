"""A strict Kraken on loopback that shares no code with the engine, so that it can judge it."""

from engine.simulator.call_log import Call
from engine.simulator.customers import SimAccount
from engine.simulator.faults import Fault
from engine.simulator.order_entry import PlacedOrder
from engine.simulator.rules import Rules
from engine.simulator.script import ScriptedFault
from engine.simulator.simulator import Simulator
from engine.simulator.stream_faults import StreamFault

__all__ = ["Call", "Fault", "PlacedOrder", "Rules", "ScriptedFault", "SimAccount", "Simulator", "StreamFault"]
