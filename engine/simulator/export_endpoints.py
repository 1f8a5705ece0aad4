"""The export endpoints: a report is ready at once, and can be downloaded (`export_file`) and removed."""

from __future__ import annotations

import re
import secrets
import string
from typing import Any

from engine.simulator.customers import Customer
from engine.simulator.export_file import COLUMNS
from engine.simulator.parameters import Params, require, text

_REPORTS, _FORMATS = frozenset({"trades", "ledgers"}), frozenset({"CSV", "TSV"})
_TIME = re.compile(r"[0-9]{1,13}(\.[0-9]{1,9})?")
_TWO_WEEKS = 14 * 86400


def add_export(customer: Customer, params: Params) -> dict[str, str]:
    """`AddExport`."""
    report, form = text(params, "report"), text(params, "format", "CSV")
    require(report in _REPORTS, "EGeneral:Invalid arguments:report")
    require(text(params, "description"), "EGeneral:Invalid arguments:description")
    require(form in _FORMATS, "EGeneral:Invalid arguments:format")
    fields = text(params, "fields", "all")
    require(fields == "all" or set(fields.split(",")) <= set(COLUMNS[report]), "EGeneral:Invalid arguments:fields")
    now = int(customer.orders.now())
    id = "".join(secrets.choice(string.ascii_uppercase) for _ in range(4))
    customer.exports[id] = {
        "id": id, "descr": text(params, "description"), "format": form, "report": report, "subtype": "all",
        "status": "Processed", "flags": "0", "fields": fields, "createdtm": f"{now}",
        "expiretm": f"{now + _TWO_WEEKS}", "starttm": f"{now}", "completedtm": f"{now}",
        "datastarttm": _time(params, "starttm") or "0", "dataendtm": _time(params, "endtm") or f"{now}",
        "aclass": "forex", "asset": text(params, "asset", "all"),
    }  # fmt: skip
    return {"id": id}


def _time(params: Params, name: str) -> str:
    """A time as it was given; python-kraken-sdk's own test gives milliseconds, which Kraken takes."""
    told = text(params, name)
    require(not told or _TIME.fullmatch(told), f"EGeneral:Invalid arguments:{name}")
    return told.partition(".")[0]


def export_status(customer: Customer, params: Params) -> list[dict[str, Any]]:
    """`ExportStatus`."""
    require(text(params, "report") in _REPORTS, "EGeneral:Invalid arguments:report")
    return [row for row in customer.exports.values() if row["report"] == text(params, "report")]


def remove_export(customer: Customer, params: Params) -> dict[str, bool]:
    """`RemoveExport`: a report that is ready can be deleted, and is too late to be canceled."""
    require(text(params, "type") in ("delete", "cancel"), "EGeneral:Invalid arguments:type")
    require(text(params, "id") in customer.exports, "EExport:Not ready")
    require(text(params, "type") == "delete", "EExport:Not ready")
    del customer.exports[text(params, "id")]
    return {"delete": True}
