"""The export endpoints: a report is ready at once, and can be downloaded (`export_file`) and removed."""

from __future__ import annotations

import secrets
import string
from typing import Any

from engine.simulator.customers import Customer
from engine.simulator.export_file import COLUMNS
from engine.simulator.parameters import Params, require, text, when

_REPORTS, _FORMATS = frozenset({"trades", "ledgers"}), frozenset({"CSV", "TSV"})
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
        "datastarttm": f"{when(params, 'starttm', now):.0f}", "dataendtm": f"{when(params, 'endtm', now) or now:.0f}",
        "aclass": "forex", "asset": text(params, "asset", "all"),
    }  # fmt: skip
    return {"id": id}


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
