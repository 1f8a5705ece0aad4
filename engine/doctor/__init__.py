"""The 60-second test: whether an engine can do its work from here with these keys, and if not, what to do."""

from engine.doctor.examination import examine
from engine.doctor.finding import Finding, Level
from engine.doctor.running import examine_running

__all__ = ["Finding", "Level", "examine", "examine_running"]
