"""The file of a report: a zip archive with one table, as `RetrieveExport` answers."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from engine.simulator.customers import Customer
from engine.simulator.parameters import Params, require, text

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "trades": (
        "txid", "ordertxid", "pair", "time", "type", "ordertype", "price", "cost", "fee", "vol", "margin", "misc",
        "ledgers",
    ),
    "ledgers": ("txid", "refid", "time", "type", "subtype", "aclass", "asset", "amount", "fee", "balance"),
}  # fmt: skip
_SEPARATORS = {"CSV": ",", "TSV": "\t"}


def retrieve_export(customer: Customer, params: Params) -> bytes:
    """`RetrieveExport`: the archive itself, without an envelope."""
    export = customer.exports.get(text(params, "id"))
    require(export is not None, "EExport:Not ready")
    assert export is not None
    table = io.StringIO(newline="")
    rows = csv.DictWriter(
        table, _columns(export), delimiter=_SEPARATORS[export["format"]], extrasaction="ignore", restval=""
    )
    rows.writeheader()
    rows.writerows(_rows(customer, export))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{export['report']}.{export['format'].lower()}", table.getvalue())
    return archive.getvalue()


def _columns(export: Mapping[str, str]) -> list[str]:
    """The columns that were asked for, in the order that Kraken has."""
    known, asked = COLUMNS[export["report"]], export["fields"]
    return [name for name in known if asked == "all" or name == "txid" or name in asked.split(",")]


def _rows(customer: Customer, export: Mapping[str, str]) -> list[dict[str, Any]]:
    customer.book.catch_up()
    ledger = customer.book.ledger
    if export["report"] == "ledgers":
        found = [(each.time, {"txid": each.id, **each.row()}) for each in ledger.entries]
    else:
        found = [(each.time, {"txid": each.id, **each.row(), "ledgers": ",".join(ledger.of_fill(each))})
                 for each in ledger.fills]  # fmt: skip
    since, until = int(export["datastarttm"]), int(export["dataendtm"])
    return [{**row, "time": f"{at:.4f}"} for at, row in found if since <= at < until + 1]
