"""The main job on the built-in simulator: balances, kill -9, an outage, the recovery and the gates, each checked.

Needs no key, no network and no configuration; touches neither the environment nor the user's state directory.
"""

from engine.demo.play import run
from engine.demo.report import Audience, Check, Report

__all__ = ["Audience", "Check", "Report", "run"]
