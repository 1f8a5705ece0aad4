"""A strict Kraken on loopback that shares no rule with the engine it judges."""

from engine.simulator.accounts import SimAccount
from engine.simulator.faults import Fault
from engine.simulator.journal import Call
from engine.simulator.orders import Placement
from engine.simulator.rules import Rules
from engine.simulator.script import ScriptedFault
from engine.simulator.simulator import Simulator

__all__ = ["Call", "Fault", "Placement", "Rules", "ScriptedFault", "SimAccount", "Simulator"]
