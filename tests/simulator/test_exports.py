"""Reports, requested, downloaded and removed with python-kraken-sdk."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from typing import Any

import kraken.exceptions as sdk
import pytest
from kraken.spot import Trade, User

from engine.simulator import Simulator


@pytest.fixture
def user(sim: Simulator) -> User:
    """MASTER, who has bought something."""
    sim.set_balance("MASTER", {"ZUSD": "10000.0000"})
    master = sim.accounts[0]
    Trade(key=master.key, secret=master.secret, url=sim.url).create_order("market", "buy", "XBTUSD", "0.01")
    return User(key=master.key, secret=master.secret, url=sim.url)


def told(reply: Any, name: str) -> Any:
    """A part of a reply, which has many types."""
    return reply[name]


def table(reply: Any, name: str, separator: str = ",") -> list[dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(b"".join(reply.iter_content(512)))) as archive:
        assert archive.namelist() == [name]
        return list(csv.DictReader(io.StringIO(archive.read(name).decode()), delimiter=separator))


def test_a_report_is_a_zip_archive_with_a_table(user: User) -> None:
    asked = user.request_export_report(report="trades", description="all of them", fields=["time", "vol", "ledgers"])
    (row,) = table(user.retrieve_export(id_=asked["id"]), "trades.csv")
    assert (row.keys(), row["vol"]) == ({"txid", "time", "vol", "ledgers"}, "0.01000000")
    entries = user.request_export_report(report="ledgers", description="entries", format_="TSV")
    rows = table(user.retrieve_export(id_=entries["id"]), "ledgers.tsv", "\t")
    assert {each["txid"] for each in rows} >= set(row["ledgers"].split(","))
    assert all(each["refid"] and each["asset"] for each in rows)


def test_a_report_has_what_happened_in_its_time(user: User) -> None:
    before = int(time.time()) - 1000
    asked = user.request_export_report(report="trades", description="old", starttm=1, endtm=before)
    assert table(user.retrieve_export(id_=asked["id"]), "trades.csv") == []


def test_what_is_not_there_or_not_known_is_refused(user: User, sim: Simulator) -> None:
    with pytest.raises(sdk.KrakenInvalidArgumentsError):
        user.request_export_report(report="trades", description="odd", fields=["time", "colour"])
    master = sim.accounts[0]
    plain = User(key=master.key, secret=master.secret, url=sim.url)
    refused = plain.request("POST", "/0/private/RetrieveExport", {"id": "NONE"})
    assert told(refused, "error") == ["EExport:Not ready"]
    asked = user.request_export_report(report="trades", description="gone")
    assert user.delete_export_report(id_=asked["id"], type_="delete") == {"delete": True}
    assert user.get_export_report_status(report="trades") == []
    sim.set_permissions("MASTER", ["query-funds"])
    with pytest.raises(sdk.KrakenPermissionDeniedError):
        plain.request("POST", "/0/private/RetrieveExport", {"id": "NONE"})
