"""Alerts: what a person should know at once goes to a webhook, ntfy, Telegram, e-mail and what else apprise knows.

`Alerts` runs beside an engine and never in the lane's way: it only listens to events, and sends in a thread of its own.
"""

from __future__ import annotations

from engine.alerts.alerts import Alerts
from engine.alerts.settings import AlertSettings

__all__ = ["AlertSettings", "Alerts"]
