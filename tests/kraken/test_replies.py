"""What Kraken's replies mean (promises G5, G6, G11, G12)."""

from __future__ import annotations

import contextlib
import decimal
import json
import random
from decimal import Decimal
from multiprocessing.reduction import ForkingPickler

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import (
    AccountLocked,
    CallError,
    CallRefused,
    CallUnknown,
    InsufficientFunds,
    InvalidArguments,
    InvalidKey,
    InvalidNonce,
    InvalidSignature,
    MarketUnavailable,
    NoResult,
    OrderRejected,
    Outcome,
    PermissionDenied,
    RateLimited,
    TemporaryLockout,
    UnknownMethod,
)
from engine.kraken.drift import NEW, ODD
from engine.kraken.endpoints import PRIVATE, Endpoint, private_endpoint, public_endpoint
from engine.kraken.refusals import ERRORS, meaning_of, normal
from engine.kraken.replies import KrakenReply, read_reply

READ = private_endpoint("Balance")
WRITE = private_endpoint("AddOrder")
CANCEL = private_endpoint("CancelOrder")


def failure(status: int, body: bytes, endpoint: Endpoint, now: float | None = None) -> CallError:
    """The one error that a reply ends in."""
    with pytest.raises(CallError) as caught:
        read_reply(status, body, endpoint, now=now)
    error = caught.value
    assert isinstance(error, CallRefused | CallUnknown)
    assert (error.account, error.endpoint) == (None, endpoint.name)
    assert str(error).endswith(".")
    assert str(error).isprintable()
    assert len(str(error)) < 500
    assert error.__cause__ is None
    return error


def envelope(*errors: str, **rest: object) -> bytes:
    return json.dumps({"error": list(errors), **rest}).encode()


# --- good replies ---------------------------------------------------------------------------------------------


def test_a_good_reply() -> None:
    """G12: numbers come as they are written, digit for digit."""
    body = b'{"error":[],"result":{"ZUSD":"171288.6158","n":0.1000000000000000055,"i":12,"t":[true,null]}}'
    reply = read_reply(200, body, READ)
    result = {"ZUSD": "171288.6158", "n": Decimal("0.1000000000000000055"), "i": 12, "t": [True, None]}
    assert reply == KrakenReply(result)
    assert isinstance(reply.result["n"], Decimal)
    assert reply.warnings == ()


@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_empty_account_is_a_good_reply(status: int) -> None:
    """G6: no rows in a good reply is an answer, unlike no reply."""
    assert read_reply(status, b'{"error":[],"result":{}}', READ).result == {}


def test_a_part_of_a_reply_is_no_reply() -> None:
    """G6: HTTP 206 says that there is more of it."""
    for body in (b'{"error":[],"result":{}}', b'{"error":["EAPI:Invalid key"]}'):
        with pytest.raises(CallUnknown, match="206"):
            read_reply(206, body, READ)


def test_warnings_stand_beside_the_result() -> None:
    """G5: a call that was done with a warning was done."""
    reply = read_reply(200, envelope("WDatabase:No change", "WFoo:bar", result={"count": 1}), CANCEL)
    assert reply == KrakenReply({"count": 1}, ("WDatabase:No change", "WFoo:bar"))
    bare = read_reply(200, b'{"error":"WDatabase:No change","result":{"count":1}}', CANCEL)
    assert bare.warnings == ("WDatabase:No change",)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("Balance", {}),
        ("OpenPositions", []),
        ("DepositMethods", [{"method": "Bitcoin"}]),
        ("WithdrawStatus", {"next_cursor": None}),
        ("WithdrawCancel", True),
        ("Earn/Allocate", True),
    ],
)
def test_shapes(name: str, result: object) -> None:
    """G6: each endpoint has its own shape of a good result."""
    assert read_reply(200, envelope(result=result), private_endpoint(name)).result == result
    for wrong in ("text", 7, 1.5):
        assert type(failure(200, envelope(result=wrong), private_endpoint(name))) is CallUnknown


@pytest.mark.parametrize("endpoint", [READ, WRITE], ids=lambda e: e.name)
@pytest.mark.parametrize("result", [True, [], "ok", 0, 1.5, [{"ZUSD": "0"}]], ids=repr)
def test_a_result_of_the_wrong_shape_is_no_result(endpoint: Endpoint, result: object) -> None:
    """G6: a list is not a balance."""
    assert type(failure(200, envelope(result=result), endpoint)) is CallUnknown


# --- Kraken's error strings -----------------------------------------------------------------------------------
# What each means for a read, and whether nothing was done ("no") or it has to be looked up ("look") for a write.

EVERY_STRING: list[tuple[str, type[CallRefused], str]] = [
    # Key, nonce, permission
    ("EAPI:Invalid key", InvalidKey, "no"),
    ("EAPI:Invalid signature", InvalidSignature, "no"),
    ("EAPI:Invalid nonce", InvalidNonce, "no"),
    ("EAPI:Bad request", InvalidArguments, "no"),
    ("EAPI:Feature disabled", CallRefused, "no"),
    ("EAuth:Failed", PermissionDenied, "no"),
    ("EAuth:Credentials are not for this venue", PermissionDenied, "no"),
    ("EAuth", PermissionDenied, "no"),
    ("EAuth:Account temporary disabled", AccountLocked, "no"),
    ("EAuth:Account unconfirmed", AccountLocked, "no"),
    ("EAuth:Rate limit exceeded", RateLimited, "no"),
    ("EAuth:Too many requests", RateLimited, "no"),
    ("EGeneral:Permission denied", PermissionDenied, "no"),
    ("EAPI:Permission denied", PermissionDenied, "no"),
    ("EAccount:Invalid permissions", PermissionDenied, "no"),
    ("EAccount:Invalid permissions:USDT trading restricted for DE.", PermissionDenied, "no"),
    ("EAccount:Invalid permissions:XMR trading restricted for US:WA.", PermissionDenied, "no"),
    ("ETrade:Locked", AccountLocked, "no"),
    ("ETrade:User Locked", AccountLocked, "no"),
    ("ESession:Invalid session", CallRefused, "look"),
    ("EAPI:Invalid token", CallRefused, "look"),
    # Rate and lockout
    ("EAPI:Rate limit exceeded", RateLimited, "no"),
    ("EAPI:Rate limit exceeded:1700000010", RateLimited, "no"),
    ("EAPI: Rate limit exceeded: 1700000010", RateLimited, "no"),
    ("EGeneral:Too many requests", RateLimited, "no"),
    ("EService:Throttled", RateLimited, "look"),
    ("EService:Throttled:1700000010", RateLimited, "look"),
    ("EService: Throttled: 1700000010", RateLimited, "look"),
    ("EOrder:Rate limit exceeded", RateLimited, "no"),
    ("EOrder:Domain rate limit exceeded", RateLimited, "no"),
    ("EGeneral:Temporary lockout", TemporaryLockout, "no"),
    # Service and market
    ("EService:Unavailable", MarketUnavailable, "look"),
    ("EService:Busy", MarketUnavailable, "look"),
    ("EService:Timeout", MarketUnavailable, "look"),
    ("EService:Internal error", MarketUnavailable, "look"),
    ("EGeneral:Internal error", MarketUnavailable, "look"),
    ("EGeneral:Internal error:ab12", MarketUnavailable, "look"),
    ("EGeneral:Internal error[ab12]", MarketUnavailable, "look"),
    ("EDatabase:Internal error", MarketUnavailable, "look"),
    ("EService:Deadline elapsed", MarketUnavailable, "look"),
    ("EService:Gone fishing", MarketUnavailable, "look"),
    ("EService:Market closed", MarketUnavailable, "look"),
    ("EService:Market in cancel_only mode", MarketUnavailable, "no"),
    ("EService:Market in post_only mode", MarketUnavailable, "no"),
    ("EService:Market in limit_only mode", MarketUnavailable, "no"),
    ("EService:Market in reduce_only mode", MarketUnavailable, "no"),
    ("EService:Market in some new mode", MarketUnavailable, "no"),
    # Arguments
    ("EAPI:Invalid arguments", InvalidArguments, "no"),
    ("EAPI:Invalid arguments:No auction running", InvalidArguments, "no"),
    ("EGeneral:Invalid timeout argument", InvalidArguments, "no"),
    ("EGeneral:Invalid timeout argument:above max", InvalidArguments, "no"),
    ("Limit_price(s) not found", InvalidArguments, "no"),
    ("Stop_price(s) not found", InvalidArguments, "no"),
    ("Price(s) not found", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:Invalid strategy ID", InvalidArguments, "no"),
    ("EQuery:Unknown asset pair", InvalidArguments, "no"),
    ("EQuery:Invalid asset pair", InvalidArguments, "no"),
    ("EQuery:Unknown asset", InvalidArguments, "no"),
    ("EGeneral:Unknown method", UnknownMethod, "no"),
    ("EGeneral:Unknown Method", UnknownMethod, "no"),
    ("EGeneral:Invalid arguments", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:ordertype", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:type", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:price", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:volume", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:viqc", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:Index unavailable", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:display volume too small", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:iceberg:ordertype", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:cl_ord_id", InvalidArguments, "no"),
    ("EGeneral:Invalid arguments:cl_ord_id not unique", InvalidArguments, "look"),
    ("EGeneral:Invalid arguments:volume minimum not met", InvalidArguments, "no"),
    # Orders, trades, positions
    ("EOrder:Insufficient funds", InsufficientFunds, "no"),
    ("EOrder:Order minimum not met", OrderRejected, "no"),
    ("EOrder:Cost minimum not met", OrderRejected, "no"),
    ("EOrder:Tick size check failed", OrderRejected, "no"),
    ("EOrder:Invalid price", OrderRejected, "no"),
    ("EOrder:Invalid price:XXBTZEUR price can only be specified up to 1 decimals.", OrderRejected, "no"),
    ("EOrder:Invalid price:Invalid price argument", OrderRejected, "no"),
    ("EOrder:Orders limit exceeded", OrderRejected, "no"),
    ("EOrder:Scheduled orders limit exceeded", OrderRejected, "no"),
    ("EOrder:Positions limit exceeded", OrderRejected, "no"),
    ("EOrder:Unknown order", OrderRejected, "no"),
    ("EOrder:Invalid order", OrderRejected, "no"),
    ("EGeneral:Unknown order", OrderRejected, "no"),
    ("EOrder:No amendable parameters specified", OrderRejected, "no"),
    ("EOrder:Post only order", OrderRejected, "no"),
    ("EOrder:Order not editable", OrderRejected, "no"),
    ("EOrder:Not enough leaves qty", OrderRejected, "no"),
    ("EOrder:Unknown position", OrderRejected, "no"),
    ("EOrder:Cannot open position", OrderRejected, "no"),
    ("EOrder:Cannot open opposing position", OrderRejected, "no"),
    ("EOrder:Margin allowance exceeded", OrderRejected, "no"),
    ("EOrder:Margin level too low", OrderRejected, "no"),
    ("EOrder:Margin position size exceeded", OrderRejected, "no"),
    ("EOrder:Insufficient margin", OrderRejected, "no"),
    ("EOrder:Insufficient initial margin", OrderRejected, "no"),
    ("EOrder:Reduce only:Non-PC", OrderRejected, "no"),
    ("EOrder:Reduce only:Non-ECP", OrderRejected, "no"),
    ("EOrder:Reduce only:No position exists", OrderRejected, "no"),
    ("EOrder:Reduce only:Position is closed", OrderRejected, "look"),
    ("EOrder:Cancel pending", OrderRejected, "look"),
    ("EOrder:Batch failed", OrderRejected, "look"),
    ("EOrder:Cancel all failed", OrderRejected, "look"),
    ("EOrder:Order cancelled:Account has insufficient initial margin to place the order", OrderRejected, "look"),
    ("EOrder:Trading agreement required", OrderRejected, "no"),
    ("ETrade:Invalid request", InvalidArguments, "no"),
    ("EBM:limit exceeded", OrderRejected, "no"),
    ("EBM:limit exceeded:CAL", OrderRejected, "no"),
    # Funding and Earn
    ("EFunding:Max fee exceeded", InvalidArguments, "no"),
    ("EFunding:No funding method", InvalidArguments, "no"),
    ("EFunding:Unknown asset", InvalidArguments, "no"),
    ("EFunding:Unknown withdraw key", InvalidArguments, "no"),
    ("EFunding:Invalid amount", InvalidArguments, "no"),
    ("EFunding:Too many addresses", CallRefused, "no"),
    ("EFunding:Failed", CallRefused, "look"),
    ("EFunding:Invalid reference id", InvalidArguments, "no"),
    ("EFunding:Unknown reference id", InvalidArguments, "no"),
    ("EFunding:Invalid staking method", InvalidArguments, "no"),
    ("EEarnings:Below min:(De)allocation operation amount less than minimum", InvalidArguments, "no"),
    ("EEarnings:Below minimum", InvalidArguments, "no"),
    ("EEarnings:Above maximum", InvalidArguments, "no"),
    ("EEarnings:Above max:(De)allocation operation amount exceeds the allocation limit", InvalidArguments, "no"),
    ("EEarnings:Busy:Another (de)allocation for the same strategy is in progress", MarketUnavailable, "no"),
    ("EEarnings:Permission denied:The user's tier is not high enough", PermissionDenied, "no"),
    ("EEarnings:Insufficient funds:Insufficient funds to complete the operation", InsufficientFunds, "no"),
    # Never heard of: Kraken said no to a read; what it did with a write is anybody's guess
    ("EFoo:Bar", CallRefused, "look"),
    ("EOrder:Something new", CallRefused, "look"),
    ("EAPI:Invalid noncesense", CallRefused, "look"),
    ("EGeneral", CallRefused, "look"),
    ("E", CallRefused, "look"),
    ("no grammar at all", CallRefused, "look"),
    ("Xthing:odd", CallRefused, "look"),
    ("Wrong price(s) for it", CallRefused, "look"),
    ("W", CallRefused, "look"),
]


@pytest.mark.parametrize(("code", "error", "effect"), EVERY_STRING, ids=[row[0] for row in EVERY_STRING])
@pytest.mark.parametrize("form", ["list", "bare", "empty result", "HTTP 400"])
def test_every_error_string_of_a_read(code: str, error: type[CallRefused], effect: str, form: str) -> None:
    """G5, G6: to a read, every error of Kraken's is a refusal of its class, and never data."""
    bodies = {"bare": json.dumps({"error": code}).encode(), "empty result": envelope(code, result={})}
    got = failure(400 if form == "HTTP 400" else 200, bodies.get(form, envelope(code)), READ)
    assert type(got) is error
    assert got.kraken_code == code
    assert got.outcome is Outcome.REFUSED
    assert f"'{code}'" in str(got)


@pytest.mark.parametrize(("code", "error", "effect"), EVERY_STRING, ids=[row[0] for row in EVERY_STRING])
@pytest.mark.parametrize("endpoint", [WRITE, CANCEL, private_endpoint("Withdraw")], ids=lambda e: e.name)
def test_every_error_string_of_a_write(code: str, error: type[CallRefused], effect: str, endpoint: Endpoint) -> None:
    """G5: to a write, only what proves that nothing was done is a refusal."""
    got = failure(200, envelope(code), endpoint)
    assert type(got) is (error if effect == "no" else CallUnknown)
    assert got.kraken_code == code
    assert f"'{code}'" in str(got)


@pytest.mark.parametrize(("code", "error", "effect"), EVERY_STRING, ids=[row[0] for row in EVERY_STRING])
def test_an_error_beside_a_result_is_unknown_for_a_write(code: str, error: type[CallRefused], effect: str) -> None:
    """G5, G9: an order that has a txid was not simply refused."""
    body = envelope(code, result={"txid": ["OAAAAA-BBBBB-CCCCCC"]})
    assert type(failure(200, body, WRITE)) is CallUnknown
    assert type(failure(200, body, READ)) is error


def test_every_row_of_the_table_is_tested() -> None:
    """G5: a row that nobody tests is a guess."""
    tested = {normal(code) for code, _, _ in EVERY_STRING}
    assert [row for row in ERRORS if not any(code.startswith(row) for code in tested)] == []


@pytest.mark.parametrize(
    ("spelt", "like"),
    [
        ("EAPI:  Invalid   nonce", "EAPI:Invalid nonce"),
        ("eapi:invalid NONCE", "EAPI:Invalid nonce"),
        ("EOrder : Insufficient funds", "EOrder:Insufficient funds"),
        ("EGeneral: Invalid arguments: cl_ord_id not unique", "EGeneral:Invalid arguments:cl_ord_id not unique"),
        ("EOrder:Insufficient funds (EUR)", "EOrder:Insufficient funds"),
        ("EAPI:Invalid nonce\n", "EAPI:Invalid nonce"),
    ],
)
def test_spelling_does_not_matter(spelt: str, like: str) -> None:
    """G5: Kraken's own pages disagree about spaces and capitals."""
    assert meaning_of(spelt) is meaning_of(like) is not None


PARTIAL = {"XXBTZEUR": {"a": ["65926.20000", "1", "1.000"]}}


@pytest.mark.parametrize("name", ["Ticker", "AssetPairs", "Assets"])
@pytest.mark.parametrize("codes", [["EQuery:Unknown asset pair"], ["WFoo:bar", "EQuery:Unknown asset", "EQuery:New"]])
def test_rows_beside_an_error_about_another_name_count_and_the_error_is_said(name: str, codes: list[str]) -> None:
    """One delisted pair must not hide the others: Ticker was seen to answer like that."""
    reply = read_reply(200, envelope(*codes, result=PARTIAL), public_endpoint(name))
    assert reply == KrakenReply(
        PARTIAL, tuple(c for c in codes if c[0] == "W"), tuple(c for c in codes if c[0] == "E")
    )


@pytest.mark.parametrize(
    "code", ["EService:Unavailable", "EGeneral:Internal error", "EAPI:Rate limit exceeded", "EFoo:Bar", "X"]
)
def test_rows_beside_a_fault_of_krakens_do_not_count(code: str) -> None:
    ticker = public_endpoint("Ticker")
    failure(200, envelope(code, result=PARTIAL), ticker)
    failure(200, envelope("EQuery:Unknown asset pair", code, result=PARTIAL), ticker)


@pytest.mark.parametrize("result", [{}, None, [], "x", 7], ids=repr)
def test_an_error_beside_no_rows_is_a_refusal(result: object) -> None:
    code = "EQuery:Unknown asset pair"
    for body in (envelope(code, result=result), envelope(code)):
        assert isinstance(failure(200, body, public_endpoint("Ticker")), InvalidArguments | CallUnknown)
    assert type(failure(200, envelope(code, result={}), public_endpoint("Ticker"))) is InvalidArguments


@pytest.mark.parametrize("endpoint", [*PRIVATE.values(), public_endpoint("Depth")], ids=lambda endpoint: endpoint.name)
def test_no_other_reply_is_believed_beside_an_error(endpoint: Endpoint) -> None:
    """G6: a balance with an error beside it is not a balance."""
    result: object = {"ZUSD": "0.0000"} if dict in endpoint.shape else [{}] if list in endpoint.shape else True
    failure(200, envelope("EQuery:Unknown asset", result=result), endpoint)


@pytest.mark.parametrize(
    ("codes", "for_write", "for_read", "code"),
    [
        (["EAPI:Invalid nonce", "EAPI:Invalid key"], InvalidNonce, InvalidNonce, "EAPI:Invalid nonce"),
        (["EOrder:Unknown order", "EService:Busy"], CallUnknown, OrderRejected, "EService:Busy"),
        (["EOrder:Unknown order", "EFoo:Bar"], CallUnknown, OrderRejected, "EFoo:Bar"),
        (["WFoo:bar", "EOrder:Insufficient funds"], InsufficientFunds, InsufficientFunds, "EOrder:Insufficient funds"),
    ],
)
def test_several_errors(codes: list[str], for_write: type[CallError], for_read: type[CallError], code: str) -> None:
    """G5: one doubt outweighs any number of refusals."""
    got = failure(200, envelope(*codes), WRITE)
    assert (type(got), got.kraken_code) == (for_write, code)
    assert type(failure(200, envelope(*codes), READ)) is for_read


@pytest.mark.parametrize(
    ("code", "now", "wait"),
    [
        ("EGeneral:Temporary lockout", None, 900),
        ("EAuth:Rate limit exceeded", None, 30),
        ("EAuth:Too many requests", None, 30),
        ("EAPI:Rate limit exceeded", 1.7e9, None),
        ("EAPI:Rate limit exceeded: 1700000010", 1.7e9, 10),
        ("EAPI:Rate limit exceeded:1700000010", None, None),
        ("EAPI:Rate limit exceeded: 9700000010", 1.7e9, 900),
        ("EAuth:Rate limit exceeded: 1700000010", 1.7e9, 30),
        ("EOrder:Insufficient funds: 1700000010", 1.7e9, None),
        ("EService:Throttled:1700000010", None, None),
        ("EService:Throttled:1700000010", 1.7e9, 10),
        ("EService: Throttled: 1700000010", 1.7e9, 10),
        ("EService:Throttled:1600000000", 1.7e9, 0),
        ("EService:Throttled:1800000000", 1.7e9, 900),
        ("EService:Throttled:17000000101234567", 1.7e9, None),
        ("EService:Throttled", 1.7e9, None),
        ("EService:Throttled:soon", 1.7e9, None),
    ],
)
def test_retry_after(code: str, now: float | None, wait: float | None) -> None:
    """G7: the sender backs off for as long as Kraken says, and a wrong clock of ours cannot make that hours."""
    assert failure(200, envelope(code), READ, now).retry_after == wait
    assert failure(200, envelope(code), WRITE, now).retry_after == wait


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("EAPI:Invalid nonce", "a key of its own"),
        ("EAPI:Invalid key", "make a new one"),
        ("EAPI:Invalid signature", "copy both again"),
        ("EGeneral:Permission denied", "'Query funds'"),
        ("EGeneral:Temporary lockout", "15 minutes"),
        ("EAPI:Rate limit exceeded", "wait before the next one"),
        ("EOrder:Insufficient funds", "available balance"),
        ("EFoo:Bar", "does not know"),
    ],
)
def test_the_sentence_says_what_to_do(code: str, advice: str) -> None:
    """G7: a person can act on the reason that is shown."""
    assert advice in str(failure(200, envelope(code), READ))


def test_errors_can_be_pickled() -> None:
    """G5: an error crosses from the private actor to its asker, and into the store, whole."""
    error = failure(200, envelope("EService:Throttled:1700000010"), READ, 1.7e9)
    copy = ForkingPickler.loads(ForkingPickler.dumps(error))
    assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)


# --- HTTP ------------------------------------------------------------------------------------------------------

GOOD = b'{"error":[],"result":{}}'
REFUSAL = b'{"error":["EOrder:Insufficient funds"]}'
PAGE = b"<html><head><title>kraken.com | 502: Bad gateway</title></head></html>"


@pytest.mark.parametrize("body", [GOOD, REFUSAL, PAGE, b"", b"{}", b'{"error":["EAPI:Invalid nonce"]}'])
@pytest.mark.parametrize("endpoint", [READ, WRITE, CANCEL], ids=lambda e: e.name)
@pytest.mark.parametrize("status", [0, 100, 199, 301, 302, 307, 399, 500, 502, 503, 504, 520, 522, 525, 999, -1])
def test_no_body_is_believed_with_such_a_status(status: int, endpoint: Endpoint, body: bytes) -> None:
    """G5: behind a 5xx anything may have happened, whatever somebody wrote into it."""
    error = failure(status, body, endpoint)
    assert type(error) is CallUnknown
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_says_so(status: int) -> None:
    """G11: a signed call is never sent on to another place."""
    assert "a redirect, which is not followed" in str(failure(status, b"", READ))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 418, 425, 429, 499])
def test_a_4xx(status: int) -> None:
    """G5: an envelope decides if it holds an error; without one, only a read knows that nothing was done."""
    for endpoint in (READ, WRITE, CANCEL):
        assert type(failure(status, REFUSAL, endpoint)) is InsufficientFunds
        assert type(failure(status, GOOD, endpoint)) is CallUnknown
        assert type(failure(status, b'{"error":["EService:Busy"]}', endpoint)) is (
            CallUnknown if endpoint.writes else MarketUnavailable
        )
    for body in (PAGE, b"", b"{}", b"[]"):
        expected = {404: UnknownMethod, 429: RateLimited}.get(status, CallUnknown)
        assert type(failure(status, body, READ)) is expected
        assert type(failure(status, body, WRITE)) is CallUnknown
        assert type(failure(status, body, CANCEL)) is CallUnknown


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("12", 12), ("0", 1), (" 7 ", 7), ("2.5", 2.5), ("99999", 900), (None, 1), ("", 1), ("soon", 1), ("-5", 1),
        ("1" * 5000, 1), ("Tue, 14 Nov 2023 22:13:50 GMT", 30), ("Tue, 14 Nov 2023 22:13:50 -0000", 30),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 1), ("Wed, 14 Nov 2040 22:13:50 GMT", 900),
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", [PAGE, b"", GOOD, b'{"error":["EGeneral:Too many requests"]}'])
def test_http_429_says_when_to_come_back(body: bytes, header: str | None, wait: float) -> None:
    """G7: as a number of seconds or as a date, at least a second and never hours."""
    for endpoint in (READ, WRITE):
        with pytest.raises(CallError) as caught:
            read_reply(429, body, endpoint, now=1.7e9, retry_after=header)
        assert caught.value.retry_after == wait
        if endpoint.writes:
            refused = b"Too many" in body
            assert type(caught.value) is (RateLimited if refused else CallUnknown)


def test_the_later_of_two_times_to_come_back_counts() -> None:
    """G7: the header and the error's own time."""
    with pytest.raises(RateLimited) as caught:
        read_reply(429, envelope("EAPI:Rate limit exceeded: 1700000040"), READ, now=1.7e9, retry_after="5")
    assert caught.value.retry_after == 40
    with pytest.raises(CallUnknown) as unknown:
        read_reply(503, PAGE, READ, now=1.7e9, retry_after="600")
    assert unknown.value.retry_after is None, "an outage is looked at again at our own pace"


# --- what is new at Kraken ------------------------------------------------------------------------------------


def noted(body: bytes, endpoint: Endpoint = READ) -> list[tuple[str, str]]:
    """What a reply's reader notes."""
    found: list[tuple[str, str]] = []
    with contextlib.suppress(CallError):
        read_reply(200, body, endpoint, note=lambda field, what: found.append((field, what)))
    return found


@pytest.mark.parametrize("endpoint", [READ, WRITE], ids=lambda e: e.name)
def test_an_error_that_is_not_in_the_table_is_noted(endpoint: Endpoint) -> None:
    """G14: with its category where that is known, and never with its text."""
    assert noted(envelope("EOrder:sesame kfj28"), endpoint) == [("error.EOrder", NEW)]
    assert noted(envelope("E Query:no", "sesame"), endpoint) == [("error", NEW)]
    assert noted(envelope("equery:x", "EQuery:y"), endpoint) == [("error.EQuery", NEW)]
    for code, _, _ in EVERY_STRING:
        if meaning_of(code) is not None:
            assert noted(envelope(code), endpoint) == []


def test_new_fields_of_the_envelope_are_noted() -> None:
    """G14: they stop nothing, and a flood of them takes no time."""
    assert noted(b'{"error":[],"result":{},"trace":"abc"}') == [("trace", NEW)]
    assert noted(envelope(result=[])) == [("result", ODD)]
    assert len(noted(json.dumps({"error": [], "result": {}, **dict.fromkeys(map(str, range(5000)))}).encode())) == 10
    assert noted(GOOD) == []


@pytest.mark.parametrize("body", [b'{"error":[]}', b'{"error":[],"result":null}', b'{"error":["WFoo:bar"]}'])
@pytest.mark.parametrize("name", ["Balance", "BalanceEx", "Ledgers"])
def test_neither_error_nor_result_is_named(body: bytes, name: str) -> None:
    """G6: seen of accounts that were never funded; it does not mean a balance of zero."""
    error = failure(200, body, private_endpoint(name))
    assert type(error) is NoResult
    assert "never funded" in str(error)
    for endpoint in (WRITE, public_endpoint("Time")):
        error = failure(200, body, endpoint)
        assert type(error) is NoResult
        assert "funded" not in str(error)
        assert "fault of Kraken's" in str(error)


def test_an_empty_body_of_a_public_call_is_explained() -> None:
    """G5: seen when 40 pairs were asked for without a pause."""
    assert "asks too fast" in str(failure(200, b"", public_endpoint("Depth")))


# --- odd bodies ------------------------------------------------------------------------------------------------

ODD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "{}": b"{}",
    "[]": b"[]",
    "null": b"null",
    "true": b"true",
    "text": b'"EAPI:Invalid nonce"',
    "number": b"0",
    "html": PAGE,
    "plain": b"upstream connect error",
    "truncated": b'{"error":[],"result":{"ZUSD":"1',
    "two": b'{"error":[],"result":{}}{"error":[],"result":{}}',
    "trailing": b'{"error":[],"result":{}} x',
    "no error": b'{"result":{"ZUSD":"0"}}',
    "no result": b'{"error":[]}',
    "null result": b'{"error":[],"result":null}',
    "null error": b'{"error":null,"result":{}}',
    "false error": b'{"error":false,"result":{}}',
    "object error": b'{"error":{},"result":{}}',
    "number in error": b'{"error":[0],"result":{}}',
    "null in error": b'{"error":[null],"result":{}}',
    "list in error": b'{"error":[["EAPI:Invalid nonce"]],"result":{}}',
    "empty error text": b'{"error":"","result":{}}',
    "empty error entry": b'{"error":[""],"result":{}}',
    "warning only": b'{"error":["WFoo:bar"]}',
    "error twice": b'{"error":["EAPI:Invalid nonce"],"error":[],"result":{}}',
    "result twice": b'{"error":[],"result":{"ZUSD":"5"},"result":{}}',
    "row twice": b'{"error":[],"result":{"ZUSD":"5","ZUSD":"0"}}',
    "NaN": b'{"error":[],"result":{"ZUSD":NaN}}',
    "Infinity": b'{"error":[],"result":{"ZUSD":-Infinity}}',
    "bad utf-8": b'{"error":[],"result":{"Z\xff":"1"}}',
    "surrogate bytes": b'{"error":[],"result":{"Z\xed\xa0\x80":"1"}}',
    "lone surrogate": b'{"error":[],"result":{"Z\\ud800":"1"}}',
    "lone surrogate in error": b'{"error":["E\\uDFFF"]}',
    "utf-16": '{"error":[],"result":{}}'.encode("utf-16"),
    "bom": b"\xef\xbb\xbf" + GOOD,
    "control character": b'{"error":[],"result":{"Z\x01":"1"}}',
    "deep list": b'{"error":[],"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep object": b'{"error":[],"result":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "deep open": b"[" * 100_000,
    "deeper than any reply": b'{"error":[],"result":{"a":' + b"[" * 50 + b"]" * 50 + b"}}",
    "huge int": b'{"error":[],"result":{"n":' + b"9" * 100_000 + b"}}",
    "huge float": b'{"error":[],"result":{"n":1.' + b"9" * 100_000 + b"}}",
    "huge exponent": b'{"error":[],"result":{"n":1e999999999}}',
    "tiny exponent": b'{"error":[],"result":{"n":1e-999999999}}',
    "absurd exponent": b'{"error":[],"result":{"n":1e99999999999999999999999}}',
    "nul": b"\0" * 50,
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("endpoint", [READ, WRITE, public_endpoint("Time")], ids=lambda e: e.name)
@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
def test_odd_bodies_are_unknown(body: bytes, endpoint: Endpoint) -> None:
    """G5, G6: only a complete, strict envelope is an answer."""
    assert isinstance(failure(200, body, endpoint), CallUnknown)


@pytest.mark.parametrize("name", ["absurd exponent", "huge exponent", "NaN"])
def test_the_hosts_decimal_context_changes_nothing(name: str) -> None:
    """G12: without its traps, Decimal makes NaN of what it cannot hold; that must not become a balance."""
    with decimal.localcontext(decimal.Context(prec=3, traps=[])):
        assert type(failure(200, ODD_BODIES[name], READ)) is CallUnknown
        reply = read_reply(200, b'{"error":[],"result":{"n":1.23456789}}', READ)
    assert reply.result["n"] == Decimal("1.23456789")


def test_pairs_of_surrogates_are_characters() -> None:
    """G6: strictness does not turn away a whole character that is written as two escapes."""
    body = b'{"error":[],"result":{"\\ud83d\\ude00":"1"}}'
    assert read_reply(200, body, READ).result == {"\U0001f600": "1"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PAGE, "an HTML page titled 'kraken.com | 502: Bad gateway'"),
        (b"<TITLE lang=en>\n  Just a\x07 moment...\n</TITLE>", "titled 'Just a? moment...'"),
        (b"<!DOCTYPE html><html>", "a page of HTML or XML"),
        (b"", "an empty body"),
        (b"error code: 1015", "the text 'error code: 1015'"),
        (b"x" * 10 + b" y" * 1000, "…'"),
        (b"{}", "2 bytes of JSON"),
    ],
)
def test_the_sentence_says_what_came(body: bytes, words: str) -> None:
    """G11: short and printable, so that it may stand in a log."""
    assert words in str(failure(200, body, READ))


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":[],"result":{"token":"1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw',
        b"token 1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw expires",
        b"<title>API-Key: 1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw</title>",
        b'\xef\xbb\xbf{"token":"1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw"}',
    ],
)
def test_a_token_in_an_odd_body_is_not_repeated(body: bytes) -> None:
    """G11: a reply of GetWebSocketsToken may break off, and a proxy may echo a header."""
    error = failure(200, body, private_endpoint("GetWebSocketsToken"))
    assert "1Dwc4lz" not in str(error)
    assert "1Dwc4lz" not in repr(error.__dict__)


# --- fuzz ------------------------------------------------------------------------------------------------------


def judge(status: int, body: bytes, endpoint: Endpoint) -> None:
    """Hold one answer against a second, simpler reading of it."""
    try:
        reply = read_reply(status, body, endpoint, now=1.7e9)
    except CallError as error:
        assert isinstance(error, CallRefused | CallUnknown)  # noqa: PT017 - nothing else may come out
        assert error.endpoint == endpoint.name  # noqa: PT017
        str(error).encode()
        return
    assert 200 <= status < 300
    told = json.loads(body.decode())
    entries = [told["error"]] if isinstance(told["error"], str) else told["error"]
    assert all(entry[0] == "W" for entry in entries)
    assert tuple(entries) == reply.warnings
    assert isinstance(reply.result, endpoint.shape)
    assert type(reply.result) is type(told["result"])
    json.dumps(reply.result, default=str, ensure_ascii=False).encode()


STATUSES = st.sampled_from([200] * 8 + [201, 204, 302, 400, 403, 404, 429, 500, 502, 520]) | st.integers(-5, 1000)
ENDPOINTS = st.sampled_from([*PRIVATE.values(), public_endpoint("Time")])
CODES = st.sampled_from([code for code, _, _ in EVERY_STRING]) | st.text(max_size=30)
ENTRIES = CODES | CODES.map(lambda c: "W" + c) | CODES.map(lambda c: "E" + c)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | ENTRIES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
ENVELOPES = st.fixed_dictionaries(
    {"error": st.lists(ENTRIES, max_size=3) | ENTRIES | ANY_JSON | st.just([])},
    optional={"result": ANY_JSON | st.dictionaries(st.text(max_size=6), ANY_JSON, max_size=3), "more": ANY_JSON},
)


@settings(max_examples=500)
@given(status=STATUSES, value=ENVELOPES | ANY_JSON, endpoint=ENDPOINTS, escaped=st.booleans())
def test_any_json(status: int, value: object, endpoint: Endpoint, escaped: bool) -> None:
    """G5, G6: any JSON is a reply or one typed error, and no error string becomes data."""
    judge(status, json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass"), endpoint)


@settings(max_examples=500)
@given(status=STATUSES, body=st.binary(max_size=200), endpoint=ENDPOINTS)
def test_any_bytes(status: int, body: bytes, endpoint: Endpoint) -> None:
    """G5, G6: the same for arbitrary bytes."""
    judge(status, body, endpoint)


@pytest.mark.torture
def test_any_json_and_any_bytes_at_full_size() -> None:
    """G5, G6 with many more examples."""
    for test in (test_any_json, test_any_bytes):
        settings(max_examples=10_000)(test)()


def test_damaged_replies() -> None:
    """G5, G6: 10,000 real replies, each with bytes lost, doubled or changed."""
    chance = random.Random(20260912)
    seeds = [GOOD, REFUSAL, *ODD_BODIES.values()]
    seeds += [
        envelope("WFoo:bar", result={"ZUSD": {"balance": "25435.2100", "hold_trade": "8249.7600"}, "n": 1.5}),
        envelope("EAPI:Invalid nonce", result={}),
        envelope(result={"txid": ["OUF4EM-FRGI2-MQMWZD"], "descr": {"order": "buy 1 XBTUSD @ market"}}),
    ]
    seeds = [seed for seed in seeds if len(seed) < 1000]
    parts = [b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\u", b"\xff", b"1e9", b"null", b'"error":[],', b"E"]
    for _ in range(10_000):
        body = chance.choice(seeds)
        for _ in range(chance.randint(1, 3)):
            at, gone = chance.randrange(len(body) + 1), chance.choice([0, 0, 1, 2, 10])
            body = body[:at] + chance.choice(parts) + body[at + gone :]
        judge(chance.choice([200, 200, 200, 400, 429, 502]), body, chance.choice([READ, WRITE, CANCEL]))
