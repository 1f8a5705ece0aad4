"""The simulator as an exchange: judged with clients that know nothing of it."""

from __future__ import annotations

import ast
import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import krakenex
import pytest

import engine.simulator
from engine.simulator import Fault, SimAccount, Simulator
from tests.simulator.clients import FORM, JSON, Client, Clock, query
from tests.stopwatch import Stopwatch

# The example of Kraken's documentation: secret, nonce, body and what they sign to.
DOCS_SECRET = (
    "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
)
DOCS_BODY = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
DOCS_SIGN = (
    "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
)
DOCS_JSON = (
    '{"nonce":"1616492376594","ordertype":"limit","pair":"XBTUSD","price":"37500",'
    '"type":"buy","volume":"1.25"}'
)
DOCS_JSON_SIGN = (
    "r/o+GpKxXjV/mls/r5CKLu5R+yzK5psqvQ4hXxMX1nzdxTBhV+ui82QGgPZMMitpFwCOAdPEZMmXgZxD2chJEg=="
)
LIMIT = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.1", "price": "30000"}


# Clients that others wrote


def test_krakenex_reads_public_data(api: krakenex.API) -> None:
    assert abs(api.query_public("Time")["result"]["unixtime"] - time.time()) < 5
    assert api.query_public("SystemStatus")["result"]["status"] == "online"
    assets = api.query_public("Assets")["result"]
    assert {"XXBT", "XETH", "ZUSD", "ZEUR", "USDT", "USDC", "XAUT", "XTZ", "ZRX", "ZETA", "DOT",
            "KFEE", "USD.M", "USD.HOLD"} <= assets.keys()  # fmt: skip
    assert not [name for name in assets if name.endswith((".F", ".B"))]
    pairs = api.query_public("AssetPairs", {"pair": "XBTUSD,ETH/USD"})["result"]
    assert pairs.keys() == {"XXBTZUSD", "ETH/USD"}  # a name with a slash comes back as it was sent
    assert pairs["XXBTZUSD"]["base"] in assets
    assert api.query_public("Ticker", {"pair": "XBTUSDT"})["result"].keys() == {"XBTUSDT"}


def test_krakenex_makes_private_calls(sim: Simulator, api: krakenex.API) -> None:
    sim.set_balance("MASTER", {"ZUSD": "100.0", "XXBT": {"balance": "1", "hold_trade": "0.2"}})
    assert query(api, "Balance") == {"ZUSD": "100.0", "XXBT": "1"}
    assert query(api, "BalanceEx")["XXBT"] == {"balance": "1", "hold_trade": "0.2"}
    assert query(api, "TradeBalance")["eb"] == "68442.4000"
    info = query(api, "GetApiKeyInfo")
    assert info["nonce"] == str(sim.nonce("MASTER"))
    assert "withdraw-funds" not in info["permissions"]
    sim.set_balance("MASTER", {"ZUSD": "10000.0"})
    (txid,) = query(api, "AddOrder", dict(LIMIT))["txid"]
    assert query(api, "CancelOrder", {"txid": txid}) == {"count": 1}
    assert query(api, "CancelAll") == {"count": 0}
    assert sim.refused_nonces == 0


def test_krakenex_with_the_wrong_secret_or_key_is_refused(
    sim: Simulator, api: krakenex.API
) -> None:
    api.secret = DOCS_SECRET
    assert api.query_private("Balance") == {"error": ["EAPI:Invalid signature"]}
    api.key = "nobody"
    assert api.query_private("Balance") == {"error": ["EAPI:Invalid key"]}


@pytest.mark.parametrize(
    ("body", "sign", "kind"), [(DOCS_BODY, DOCS_SIGN, FORM), (DOCS_JSON, DOCS_JSON_SIGN, JSON)]
)
def test_the_documented_signature_is_accepted(body: str, sign: str, kind: str) -> None:
    with Simulator([("MASTER", "key", DOCS_SECRET)]) as sim:
        sim.set_balance("MASTER", {"ZUSD": "100000.0"})
        client = Client(sim)
        reply = client.send(
            "POST", "/0/private/AddOrder", body.encode(),
            API_Key="key", API_Sign=sign, Content_Type=kind,
        )  # fmt: skip
        client.close()
        assert reply["result"]["descr"] == {"order": "buy 1.25000000 XBTUSD @ limit 37500.0"}
        (placement,) = sim.placements("MASTER")
        assert [placement.txid] == reply["result"]["txid"]
        assert sim.nonce("MASTER") == 1616492376594


# Signature and key


def test_a_signature_covers_every_byte_of_the_body(client: Client) -> None:
    body = b"nonce=7&asset=ZUSD"
    sign = client.sign("/0/private/Balance", "7", body)
    heads = {"API_Key": client.account.key, "API_Sign": sign, "Content_Type": FORM}
    for other in (b"nonce=7&asset=ZEUR", b"asset=ZUSD&nonce=7", b"nonce=7&asset=ZUSD&"):
        reply = client.send("POST", "/0/private/Balance", other, **heads)
        assert reply["error"] == ["EAPI:Invalid signature"]
    elsewhere = client.send("POST", "/0/private/BalanceEx", body, **heads)
    assert elsewhere["error"] == ["EAPI:Invalid signature"]
    assert client.send("POST", "/0/private/Balance", body, **heads)["error"] == []


def test_a_missing_signature_is_refused(client: Client) -> None:
    heads = {"API_Key": client.account.key, "Content_Type": FORM}
    reply = client.send("POST", "/0/private/Balance", b"nonce=7", **heads)
    assert reply == {"error": ["EAPI:Invalid signature"]}


@pytest.mark.parametrize(("spent", "left"), [((), 0), (("signature",), 5)])
def test_what_a_wrong_signature_does_is_switchable(spent: tuple[str, ...], left: int) -> None:
    with Simulator(signature_error="EAPI:Invalid key", nonce_spent_by_refusals=spent) as sim:
        client = Client(sim, secret=DOCS_SECRET)
        assert client.error("Balance", nonce=5) == "EAPI:Invalid key"
        client.close()
        assert sim.nonce("MASTER") == left


def test_a_revoked_key_is_invalid_until_it_is_restored(sim: Simulator, client: Client) -> None:
    sim.revoke("MASTER")
    assert client.error("Balance") == "EAPI:Invalid key"
    sim.restore("MASTER")
    assert client.result("Balance")


def test_a_replaced_key_is_unknown_and_the_new_one_starts_afresh(
    sim: Simulator, client: Client
) -> None:
    client.result("Balance", nonce=10**18)
    renewed = sim.replace_key("MASTER")
    assert client.error("Balance") == "EAPI:Invalid key"
    client.account = renewed
    assert client.result("Balance", nonce=1)
    assert sim.accounts[0] == renewed


def test_an_account_can_be_added(sim: Simulator) -> None:
    added = sim.add_account("CAROL", {"DOT": "3"})
    assert isinstance(added, SimAccount)
    client = Client(sim, "CAROL")
    assert client.result("Balance") == {"DOT": "3"}
    client.close()
    with pytest.raises(ValueError, match="already"):
        sim.add_account("CAROL")
    with pytest.raises(ValueError, match="base64"):
        sim.add_account(("DAVE", "key", "no secret"))


# Nonce


@pytest.mark.parametrize("nonce", [5, 4, 0, "", "-6", "+6", "6.0", "six", "٦", 2**64, "9" * 5000])
def test_a_nonce_that_is_no_higher_integer_is_refused(
    sim: Simulator, client: Client, nonce: object
) -> None:
    client.result("Balance", nonce=5)
    assert client.error("Balance", nonce=nonce) == "EAPI:Invalid nonce"
    assert sim.nonce("MASTER") == 5
    assert sim.refused_nonces == 1
    assert client.result("Balance", nonce=2**64 - 1)


def test_a_missing_nonce_is_refused(client: Client) -> None:
    sign = client.sign("/0/private/Balance", "", b"")
    reply = client.send(
        "POST", "/0/private/Balance", API_Key=client.account.key, API_Sign=sign, Content_Type=FORM
    )
    assert reply == {"error": ["EAPI:Invalid nonce"]}


def test_nonces_are_counted_per_key(sim: Simulator, client: Client) -> None:
    alice = Client(sim, "ALICE")
    client.result("Balance", nonce=9)
    assert alice.result("Balance", nonce=1)
    alice.close()
    assert (sim.nonce("MASTER"), sim.nonce("ALICE"), sim.nonce("BOB")) == (9, 1, 0)


def test_a_nonce_can_be_spent_by_another_program_and_never_falls(
    sim: Simulator, client: Client
) -> None:
    sim.set_nonce("MASTER", 10**18)
    assert client.error("Balance", nonce=10**18) == "EAPI:Invalid nonce"
    with pytest.raises(ValueError, match="never falls"):
        sim.set_nonce("MASTER", 5)


@pytest.mark.parametrize(("reuse", "again"), [(False, ["EAPI:Invalid nonce"]), (True, [])])
def test_a_window_lets_lower_nonces_pass(reuse: bool, again: list[str]) -> None:
    with Simulator(nonce_window=10, nonce_reuse=reuse) as sim:
        client = Client(sim)
        client.result("Balance", nonce=100)
        assert client.result("Balance", nonce=91)
        assert client.error("Balance", nonce=90) == "EAPI:Invalid nonce"
        assert client.call("Balance", nonce=91)["error"] == again
        client.close()
        assert sim.nonce("MASTER") == 100


def test_calls_that_overtake_each_other_are_judged_in_the_order_they_arrive(sim: Simulator) -> None:
    hung = sim.fault(Fault.hang(times=1))
    slow, fast = Client(sim), Client(sim)
    with ThreadPoolExecutor() as pool:
        overtaken = pool.submit(slow.error, "Balance", nonce=1)
        sim.wait_for_calls(1, ended=False)
        fast.result("Balance", nonce=2)
        hung.remove()
        assert overtaken.result(10) == "EAPI:Invalid nonce"
    slow.close()
    fast.close()
    assert [(call.nonce, call.error) for call in sim.calls] == [
        (1, "EAPI:Invalid nonce"),
        (2, None),
    ]


# Permission, method and body


@pytest.mark.parametrize(("spent", "left"), [(("permission",), 5), ((), 0)])
def test_a_key_may_do_what_it_is_permitted_to(spent: tuple[str, ...], left: int) -> None:
    with Simulator(nonce_spent_by_refusals=spent) as sim:
        client = Client(sim)
        sim.set_permissions("MASTER", {"close-trades"})
        sim.add_open_order("MASTER", "OAAAAA-BBBBB-CCCCCC")
        assert client.error("Balance", nonce=5) == "EGeneral:Permission denied"
        assert sim.nonce("MASTER") == left
        assert client.error("AddOrder", **LIMIT) == "EGeneral:Permission denied"
        assert client.result("CancelOrder", txid="OAAAAA-BBBBB-CCCCCC") == {"count": 1}
        assert client.result("GetApiKeyInfo")["permissions"] == ["close-trades"]
        client.close()
        with pytest.raises(ValueError, match="fly"):
            sim.set_permissions("MASTER", {"fly"})


def test_json_bodies_are_read_and_numbers_in_them_are_taken_as_text(
    sim: Simulator, client: Client
) -> None:
    assert client.result("Balance", nonce=10**18, as_json=True)
    client.result("AddOrder", nonce=10**18 + 1, as_json=True, **{**LIMIT, "volume": 0.1})
    assert sim.placements("MASTER")[0].params == {**LIMIT, "volume": "0.1"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"nonce":', JSON),
        (b"[7]", JSON),
        (b'{"nonce":NaN}', JSON),
        (b"\xff", FORM),
        (b"nonce=7", "text/plain"),
    ],
)
def test_a_body_that_does_not_fit_its_type_is_refused(
    client: Client, body: bytes, kind: str
) -> None:
    sign = client.sign("/0/private/Balance", "7", body)
    heads = {"API_Key": client.account.key, "API_Sign": sign, "Content_Type": kind}
    assert client.send("POST", "/0/private/Balance", body, **heads)["error"] == ["EAPI:Bad request"]


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/0/private/Balance", "EAPI:Bad request"),
        ("POST", "/0/public/Time", "EAPI:Bad request"),
        ("GET", "/0/public/Tea", "EGeneral:Unknown method"),
        ("POST", "/0/private/Tea", "EGeneral:Unknown method"),
        ("GET", "/1/public/Time", "EGeneral:Unknown method"),
        ("GET", "/", "EGeneral:Unknown method"),
        ("GET", "/0/public/Assets?asset=XBT,GOLD", "EQuery:Unknown asset"),
        ("GET", "/0/public/AssetPairs?pair=GOLD", "EQuery:Unknown asset pair"),
        ("GET", "/0/public/Ticker?pair=GOLD", "EQuery:Unknown asset pair"),
    ],
)
def test_unknown_names_are_refused(client: Client, method: str, path: str, error: str) -> None:
    assert client.send(method, path) == {"error": [error]}


# Balances


def test_rows_are_told_as_they_were_set(sim: Simulator, client: Client) -> None:
    row = {"balance": "5", "hold_trade": "1", "credit": "2", "credit_used": "0.5"}
    sim.set_balance("MASTER", {"ZUSD": "0.0000", "USD.F": "7.10", "USDT": row, "NEW.X": "1"})
    assert client.result("Balance") == {
        "ZUSD": "0.0000",
        "USD.F": "7.10",
        "USDT": "5",
        "NEW.X": "1",
    }
    extended = client.result("BalanceEx")
    assert extended["USDT"] == row
    assert extended["USD.F"] == {"balance": "7.10", "hold_trade": "0.0000"}


def test_trade_balance_is_told_in_the_asset_asked_for(sim: Simulator, client: Client) -> None:
    sim.set_balance("MASTER", {"ZUSD": "100", "USD.F": "8.13", "ODD": "1"})
    assert client.result("TradeBalance")["eb"] == "108.1300"
    assert client.result("TradeBalance", asset="EUR")["eb"] == "100.0000"
    assert client.error("TradeBalance", asset="GOLD") == "EQuery:Unknown asset"


@pytest.mark.parametrize(
    "row", ["much", "NaN", "", {"hold_trade": "1"}, {"balance": "1", "x": "1"}]
)
def test_an_invalid_amount_is_not_set(sim: Simulator, row: Any) -> None:
    with pytest.raises(ValueError, match="ZUSD"):
        sim.set_balance("MASTER", {"ZUSD": row})
    with pytest.raises(TypeError, match="strings"):
        sim.set_balance("MASTER", {"ZUSD": 1.5})  # type: ignore[dict-item]
    with pytest.raises(LookupError, match="NOBODY"):
        sim.set_balance("NOBODY", {})


# Orders


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"pair": "GOLD"}, "EQuery:Unknown asset pair"),
        ({"type": "steal"}, "EGeneral:Invalid arguments:type"),
        ({"ordertype": "wish"}, "EGeneral:Invalid arguments:ordertype"),
        ({"timeinforce": "NOW"}, "EGeneral:Invalid arguments:timeinforce"),
        ({"volume": "-1"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "NaN"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "0.00001"}, "EGeneral:Invalid arguments:volume minimum not met"),
        ({"price": ""}, "EGeneral:Invalid arguments:price"),
        ({"ordertype": "stop-loss-limit"}, "EGeneral:Invalid arguments:price2"),
        (
            {"price": "1.23"},
            "EOrder:Invalid price:XXBTZUSD price can only be specified up to 1 decimals.",
        ),
        ({"cl_ord_id": "x" * 19}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"cl_ord_id": "x", "userref": "1"}, "EGeneral:Invalid arguments"),
        ({"deadline": "soon"}, "EGeneral:Invalid arguments:deadline"),
        ({"deadline": "2026-01-01T00:02:00Z"}, "EGeneral:Invalid arguments:deadline"),
        ({"deadline": "2025-12-31T23:59:59Z"}, "EService:Deadline elapsed"),
    ],
)
def test_an_order_that_is_not_acceptable_is_not_placed(change: dict[str, str], error: str) -> None:
    with Simulator(wall=Clock(datetime(2026, 1, 1, tzinfo=UTC).timestamp())) as sim:
        client = Client(sim)
        assert client.error("AddOrder", **{**LIMIT, **change}) == error
        assert client.error("AddOrder", validate="true", **{**LIMIT, **change}) == error
        client.close()
        assert sim.placements("MASTER") == []
        assert not any(call.executed for call in sim.calls)


def test_an_order_that_only_validates_is_not_placed(sim: Simulator, client: Client) -> None:
    result = client.result("AddOrder", **LIMIT, validate="true")
    assert result == {"descr": {"order": "buy 0.10000000 XBTUSD @ limit 30000.0"}}
    assert sim.placements("MASTER") == []
    assert client.result("CancelAll") == {"count": 0}


@pytest.mark.parametrize(("false_validates", "placed"), [(False, 1), (True, 0)])
def test_what_validate_false_means_as_form_text_is_switchable(false_validates: bool, placed: int) -> None:
    """python-kraken-sdk sends it with every order; years ago it was seen to only validate."""
    with Simulator(false_validates=false_validates) as sim:
        client = Client(sim)
        assert len(client.result("AddOrder", **LIMIT, validate=False).get("txid", [])) == placed
        client.close()
        assert len(sim.placements("MASTER")) == placed


def test_limit_orders_rest_and_others_do_not(sim: Simulator, client: Client) -> None:
    market = {"pair": "XBTUSD", "type": "sell", "ordertype": "market", "volume": "0.2"}
    result = client.result("AddOrder", **market)
    assert result["descr"] == {"order": "sell 0.20000000 XBTUSD @ market"}
    client.result("AddOrder", **LIMIT, timeinforce="IOC")
    assert client.result("CancelAll") == {"count": 0}
    client.result("AddOrder", **LIMIT)
    soon = datetime.now(UTC) + timedelta(seconds=30)
    client.result("AddOrder", **LIMIT, deadline=soon.isoformat())
    assert client.result("CancelAll") == {"count": 2}
    assert len(sim.placements("MASTER")) == 4


def test_a_client_id_is_unique_among_resting_orders_only(client: Client) -> None:
    mine = {**LIMIT, "cl_ord_id": "0123456789abcdef0123456789abcdef"}
    client.result("AddOrder", **mine)
    again = client.error("AddOrder", **mine)
    assert again == "EGeneral:Invalid arguments:cl_ord_id not unique"
    assert client.result("CancelOrder", cl_ord_id=mine["cl_ord_id"]) == {"count": 1}
    assert client.result("AddOrder", **mine)["txid"]


def test_orders_are_cancelled_by_what_they_are_called(sim: Simulator, client: Client) -> None:
    sim.add_open_order("MASTER", "OAAAAA-BBBBB-CCCCCC")
    client.result("AddOrder", **LIMIT, userref="7")
    client.result("AddOrder", **LIMIT, userref="7")
    assert client.result("CancelOrder", txid="7") == {"count": 2}
    assert client.result("CancelOrder", txid="OAAAAA-BBBBB-CCCCCC") == {"count": 1}
    assert client.error("CancelOrder", txid="OAAAAA-BBBBB-CCCCCC") == "EOrder:Unknown order"
    assert client.error("CancelOrder") == "EGeneral:Invalid arguments"


# Limits


def test_a_key_that_calls_too_often_is_refused() -> None:
    clock = Clock()
    with Simulator(call_limit=(3, 0.5), costs={"GetApiKeyInfo": 2}, monotonic=clock) as sim:
        client = Client(sim)
        client.result("Balance")
        client.result("GetApiKeyInfo")
        assert client.error("Balance") == "EAPI:Rate limit exceeded"
        assert client.result("AddOrder", **LIMIT)  # is free
        clock.now = 2.0
        assert client.result("Balance")
        client.close()


def test_a_key_that_fails_too_often_is_locked_out_until_it_is_quiet() -> None:
    clock = Clock()
    with Simulator(lockout_after=2, lockout_for=900, monotonic=clock) as sim:
        client = Client(sim)
        client.result("Balance", nonce=5)
        assert [client.error("Balance", nonce=5) for _ in range(3)] == [
            "EAPI:Invalid nonce", "EAPI:Invalid nonce", "EGeneral:Temporary lockout",
        ]  # fmt: skip
        clock.now = 899.0
        assert client.error("Balance") == "EGeneral:Temporary lockout"
        clock.now = 1000.0  # the last try has prolonged it
        assert client.error("Balance") == "EGeneral:Temporary lockout"
        clock.now = 1900.0
        assert client.result("Balance")
        client.close()


def test_only_offences_in_a_row_lock_out() -> None:
    with Simulator(lockout_after=2) as sim:
        client = Client(sim)
        for _ in range(3):
            client.result("Balance")
            assert client.error("Balance", nonce=1) == "EAPI:Invalid nonce"
        client.close()


# Clock


def test_the_exchange_may_have_a_clock_of_its_own() -> None:
    clock = Clock(datetime(2025, 11, 11, 0, 17, 4, tzinfo=UTC).timestamp())
    with Simulator(wall=clock) as sim:
        client = Client(sim)
        told = client.send("GET", "/0/public/Time")["result"]
        assert told == {"unixtime": 1762820224, "rfc1123": "Tue, 11 Nov 25 00:17:04 +0000"}
        sim.set_status("maintenance")
        status = client.send("GET", "/0/public/SystemStatus")["result"]
        assert status == {"status": "maintenance", "timestamp": "2025-11-11T00:17:04Z"}
        client.connection.request("GET", "/0/public/Time")
        reply = client.connection.getresponse()
        reply.read()
        client.close()
        assert parsedate_to_datetime(reply.headers["Date"]).timestamp() == clock.now
        with pytest.raises(ValueError, match="asleep"):
            sim.set_status("asleep")


# The record


def test_every_call_is_recorded_without_its_secrets(sim: Simulator, client: Client) -> None:
    before = time.monotonic()
    client.result("TradeBalance", asset="ZUSD", otp="hush")
    client.error("Tea")
    client.send("GET", "/0/public/Assets?asset=XBT")
    known, unknown, public = sim.calls
    assert (known.account, known.endpoint, known.nonce) == ("MASTER", "TradeBalance", 1001)
    assert (known.params, known.error, known.executed) == ({"asset": "ZUSD"}, None, True)
    assert known.ended is not None
    assert before <= known.started <= known.ended <= time.monotonic()
    assert (unknown.error, unknown.executed) == ("EGeneral:Unknown method", False)
    assert (public.account, public.private, public.nonce) == (None, False, None)
    assert public.params == {"asset": "XBT"}
    secrets = [text for account in sim.accounts for text in account[1:]]
    assert not any(text in repr(sim.calls) for text in [*secrets, "hush"])


def test_waiting_for_calls_ends_with_what_came(sim: Simulator, client: Client) -> None:
    client.result("Balance")
    client.result("BalanceEx")
    assert len(sim.wait_for_calls(1)) == 2
    assert [call.nonce for call in sim.wait_for_calls(1, endpoint="BalanceEx")] == [1002]
    with pytest.raises(TimeoutError, match="0 of 1"):
        sim.wait_for_calls(1, account="ALICE", timeout=0.01)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(sim.wait_for_calls, 3, account="MASTER")
        client.result("Balance")
        assert len(waiting.result(10)) == 3


def test_a_record_may_forget_old_calls() -> None:
    with Simulator(remember=2) as sim:
        client = Client(sim)
        for _ in range(4):
            client.result("Balance")
        client.close()
        assert [call.nonce for call in sim.wait_for_calls(2)] == [1003, 1004]


def test_parallel_calls_are_counted_while_they_are_handled(sim: Simulator) -> None:
    hung = sim.fault(Fault.hang(endpoint="Balance"))
    clients = [Client(sim, name) for name in ("MASTER", "ALICE")]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(client.result, "Balance") for client in clients]
        sim.wait_for_calls(2, ended=False)
        clients_public = Client(sim)
        clients_public.send("GET", "/0/public/Time")  # public calls do not count
        clients_public.close()
        hung.remove()
        assert all(future.result(10) for future in waiting)
    for client in clients:
        client.close()
    assert sim.highest_in_flight == 2
    assert sim.highest_awaited == 2


def test_calls_one_after_the_other_are_never_in_flight_together(sim: Simulator) -> None:
    clients = [Client(sim), Client(sim, "ALICE")]
    for _ in range(50):
        for client in clients:
            client.result("Balance")
    for client in clients:
        client.close()
    assert sim.highest_in_flight == 1


def test_a_call_that_was_given_up_is_handled_but_not_awaited(sim: Simulator) -> None:
    hung = sim.fault(Fault.hang(times=1))
    impatient, patient = Client(sim), Client(sim)
    impatient.read = lambda: {"error": []}  # type: ignore[method-assign]
    impatient.call("Balance")
    sim.wait_for_calls(1, ended=False)
    impatient.close()
    patient.result("Balance", nonce=5000)
    assert sim.highest_in_flight == 2
    assert sim.highest_awaited == 1
    hung.remove()
    assert [call.error for call in sim.wait_for_calls(2)] == ["EAPI:Invalid nonce", None]
    patient.close()


# Connections and threads


def test_calls_share_a_connection_and_are_not_held_back(sim: Simulator, client: Client) -> None:
    times = []
    for _ in range(21):
        began = time.perf_counter()
        client.result("BalanceEx")
        times.append(time.perf_counter() - began)
    assert sim.connections == 1
    assert sorted(times)[5] < 0.03  # a reply that waits for the client's ACK takes 0.04


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_a_connection_is_closed_when_the_client_asks_for_it(sim: Simulator, version: str) -> None:
    wish = "Connection: close\r\n" if version == "HTTP/1.1" else ""
    reply = raw(sim, f"GET /0/public/Time {version}\r\nHost: x\r\n{wish}\r\n".encode())
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in reply


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/2\r\n\r\n", b"400"),
        (b"DELETE / HTTP/1.1\r\n\r\n", b"405"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"400"),
    ],
)
def test_an_unreadable_request_is_refused(
    sim: Simulator, request_: bytes, status: bytes
) -> None:
    assert raw(sim, request_).split()[1] == status
    assert sim.calls == []


def raw(sim: Simulator, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
        sock.sendall(request)
        parts = []
        try:
            while part := sock.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass  # it did not read everything we sent
    return b"".join(parts)


def test_stop_refuses_connections_and_start_keeps_port_and_state(
    sim: Simulator, client: Client
) -> None:
    client.result("Balance", nonce=50)
    sim.set_balance("MASTER", {"DOT": "1"})
    url = sim.url
    for _ in range(3):
        sim.stop()
        sim.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", sim.port), timeout=10)
        sim.start()
    assert sim.url == url
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        client.result("Balance", nonce=51)  # the old connection is gone
    client.close()
    assert client.error("Balance", nonce=50) == "EAPI:Invalid nonce"
    assert client.result("Balance", nonce=52) == {"DOT": "1"}
    assert len(sim.calls) == 3


def test_nobody_else_gets_the_port_of_a_stopped_simulator(sim: Simulator) -> None:
    sim.stop()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", sim.port))


@pytest.mark.parametrize("stop", ["close", "stop"])
def test_closing_cuts_calls_that_wait_and_leaves_no_thread(stop: str) -> None:
    before = set(threading.enumerate())
    sim = Simulator().start()
    idle = Client(sim)
    idle.result("Balance")
    clients = [Client(sim) for _ in range(4)]
    for fault in (
        Fault.hang(endpoint="Balance"),
        Fault.delay(3600, endpoint="BalanceEx", executed=True),
        Fault.drip_body(every=3600, endpoint="TradeBalance"),
        Fault.drip_headers(every=3600, endpoint="GetApiKeyInfo"),
    ):
        sim.fault(fault)
    endpoints = ["Balance", "BalanceEx", "TradeBalance", "GetApiKeyInfo"]
    with ThreadPoolExecutor() as pool:
        calls = [
            pool.submit(client.call, endpoint, nonce=2000 + number)
            for number, (client, endpoint) in enumerate(zip(clients, endpoints, strict=True))
        ]
        sim.wait_for_calls(5, ended=False)
        with Stopwatch() as watch:
            getattr(sim, stop)()
        assert watch.seconds < 5
        for call in calls:
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                call.result(10)
    assert set(threading.enumerate()) == before
    assert all(call.ended for call in sim.calls)
    assert not next(call for call in sim.calls if call.fault == "hang").executed
    for client in [idle, *clients]:
        client.close()
    sim.close()


def test_a_client_that_disconnects_leaves_no_trace(
    sim: Simulator, capfd: pytest.CaptureFixture[str]
) -> None:
    sim.fault(Fault.body(b"x" * 10_000_000, endpoint="Time"))
    for request in (
        b"",
        b"GET",
        b"GET /0/public/Time HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx",
    ):
        with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
            sock.sendall(request)
    sim.wait_for_calls(1)
    sim.close()
    assert capfd.readouterr() == ("", "")


def test_open_connections_can_be_dropped(sim: Simulator, client: Client) -> None:
    client.result("Balance")
    sim.drop_connections()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        client.result("Balance")


def test_waiting_ends_when_the_simulator_is_closed() -> None:
    sim = Simulator()
    with pytest.raises(RuntimeError, match="never started"):
        sim.url  # noqa: B018
    with pytest.raises(RuntimeError, match="not running"):
        sim.drop_connections()
    sim.start()
    assert sim.wait(timeout=0.01) is False
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(sim.wait)
        sim.close()
        assert waiting.result(10) is True


def test_a_simulator_that_was_only_stopped_leaks_no_socket() -> None:
    sim = Simulator().start()
    sim.stop()
    del sim


def test_a_port_can_be_asked_for(sim: Simulator) -> None:
    sim.close()
    with Simulator(port=sim.port) as other:
        assert other.url == sim.url


def test_accounts_and_options_are_checked() -> None:
    with pytest.raises(ValueError, match="already"):
        Simulator(["A", "A"])
    with pytest.raises(ValueError, match="refusals"):
        Simulator(nonce_spent_by_refusals=["sleep"])


def test_it_shares_nothing_with_the_engine() -> None:
    folder = Path(engine.simulator.__file__).parent
    modules = [
        module
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for module in imported(node)
    ]
    ours = [module for module in modules if module.startswith("engine")]
    assert ours
    assert all(module.startswith("engine.simulator") for module in ours)
    assert not {"requests", "pykka", "sqlitedict"} & {module.split(".")[0] for module in modules}


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or "engine"] if isinstance(node, ast.ImportFrom) else []
