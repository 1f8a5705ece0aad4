"""Bodies and signatures: the exact bytes that Kraken checks (promises G1, G5, G11, G12)."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, IntEnum
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CallNotSent, ConfigError
from engine.kraken.endpoints import private_endpoint
from engine.kraken.signing import FORM, JSON, Signer, encode, encode_form, encode_json, rfc3339, sign
from engine.values import Secret

OFFICIAL = Secret("kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==")
GOLDEN = Secret(base64.b64encode(b"python-kraken-sdk unit-test secret value").decode())
NONCE = 1616492376594
ORDER = {"ordertype": "limit", "pair": "XBTUSD", "price": "37500", "type": "buy", "volume": "1.25"}


def by_hand(path: str, body: bytes, nonce: int, secret: str) -> str:
    """API-Sign with HMAC written out as RFC 2104 has it, sharing nothing with the engine."""
    key = base64.standard_b64decode(secret)
    key = (hashlib.sha512(key).digest() if len(key) > 128 else key).ljust(128, b"\0")
    message = path.encode() + hashlib.sha256(str(nonce).encode() + body).digest()
    inner = hashlib.sha512(bytes(b ^ 0x36 for b in key) + message).digest()
    outer = hashlib.sha512(bytes(b ^ 0x5C for b in key) + inner).digest()
    return base64.encodebytes(outer).replace(b"\n", b"").decode()


@pytest.mark.parametrize(
    ("secret", "path", "body", "expected"),
    [
        pytest.param(
            OFFICIAL,
            "/0/private/AddOrder",
            b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
            "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
            id="official",
        ),
        pytest.param(
            OFFICIAL,
            "/0/private/Balance",
            b"nonce=1616492376594",
            "1nH4vwR+8FHiYh1QT649xXkGd3JR3x0DWkgv3u9Ed/Qqv6KPtgQpEU4m+Emb/VgpEji3j1XNwI+HCbfXxmrTOg==",
            id="no parameters",
        ),
        pytest.param(
            OFFICIAL,
            "/0/private/AddOrder",
            b'{"nonce":"1616492376594","ordertype":"limit","pair":"XBTUSD","price":"37500","type":"buy","volume":"1.25"}',
            "r/o+GpKxXjV/mls/r5CKLu5R+yzK5psqvQ4hXxMX1nzdxTBhV+ui82QGgPZMMitpFwCOAdPEZMmXgZxD2chJEg==",
            id="json",
        ),
        pytest.param(
            GOLDEN,
            "/0/private/AddOrder",
            b"nonce=1616492376594&ordertype=limit&pair=XBTUSD",
            "Fo+0Uhanvs3F1byZFCjVBMLsCcRE2xLQMDpoA3Q9hawoZ0ZL35AmbknAQBlOIs4baRx9UGhzQH+/CTl9qnyp1w==",
            id="another client's",
        ),
    ],
)
def test_known_signatures(secret: Secret, path: str, body: bytes, expected: str) -> None:
    """G5: without the right signature Kraken refuses everything."""
    assert sign(path, body, NONCE, secret) == expected
    assert by_hand(path, body, NONCE, secret.reveal()) == expected


def test_encoded_order_is_the_official_body() -> None:
    """G1: the nonce comes first and is the one that is signed."""
    body = encode(private_endpoint("AddOrder"), ORDER)
    assert body.content_type == FORM
    assert body.with_nonce(NONCE) == (
        b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
    )
    assert encode(private_endpoint("Balance"), {}).with_nonce(NONCE) == b"nonce=1616492376594"


@given(
    key=st.binary(min_size=1, max_size=200),
    path=st.from_regex(r"/0/private/[A-Za-z/]{1,30}", fullmatch=True),
    body=st.binary(max_size=300),
    nonces=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4),
)
def test_signatures_agree_with_rfc_2104(key: bytes, path: str, body: bytes, nonces: list[int]) -> None:
    """G5: a signer used many times signs each call as if it were the first."""
    secret = base64.b64encode(key).decode()
    signer = Signer(Secret(secret))
    for nonce in nonces:
        assert signer.sign(path, body, nonce) == by_hand(path, body, nonce, secret)


def test_signer_shows_no_secret() -> None:
    """G11: no repr, no pickle, no error text holds the secret."""
    signer = Signer(OFFICIAL)
    assert repr(signer) == "Signer(***)"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(signer)
    with pytest.raises(ConfigError) as caught:
        Signer(Secret("not base64 at all!"))
    assert "not base64 at all" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_body_shows_no_one_time_password() -> None:
    """G11: an encoded body may wait in a queue and be printed there."""
    body = encode(private_endpoint("Balance"), {}, otp=Secret("hunter2"))
    assert "hunter2" not in repr(body)
    assert body.with_nonce(7) == b"nonce=7&otp=hunter2"


# --- form encoding ------------------------------------------------------------


class Side(str, Enum):  # noqa: UP042 - a host may use one
    BUY = "buy"


class Minutes(IntEnum):
    HOUR = 60


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, b""),
        ({"close[ordertype]": "limit", "close[price]": "1"}, b"close[ordertype]=limit&close[price]=1"),
        ({"starttm": "+60"}, b"starttm=%2B60"),
        ({"a": "x y&z=1%/ä"}, b"a=x+y%26z%3D1%25%2F%C3%A4"),
        ({"a b&=": "1"}, b"a%20b%26%3D=1"),
        ({"yes": True, "no": False}, b"yes=true&no=false"),
        ({"left": None, "kept": ""}, b"kept="),
        ({"n": 0, "m": -12, "big": 2**64}, b"n=0&m=-12&big=18446744073709551616"),
        ({"v": Decimal("1E-8")}, b"v=0.00000001"),
        ({"v": Decimal("1.50")}, b"v=1.50"),
        ({"v": Decimal("12E+3")}, b"v=12000"),
        ({"v": 1e-8}, b"v=0.00000001"),
        ({"v": 0.1}, b"v=0.1"),
        ({"v": 1e22}, b"v=10000000000000000000000"),
        ({"txid": ["A", "B"], "n": (1, Decimal("2.0"), True)}, b"txid=A%2CB&n=1%2C2.0%2Ctrue"),
        ({"type": Side.BUY, "interval": Minutes.HOUR, "all": [Side.BUY]}, b"type=buy&interval=60&all=buy"),
    ],
)
def test_form_values(params: dict[str, object], expected: bytes) -> None:
    """G12: an amount arrives digit for digit, and a plus sign as a plus sign."""
    assert encode_form(params) == expected


NOT_SENDABLE: list[object] = [
    float("nan"), float("inf"), -float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"),
    Decimal("1E+999999999"), Decimal("1E-999999999"), 10**5000, "\ud800", b"bytes", object(), {1, 2}, range(3), 1j,
]  # fmt: skip


@pytest.mark.parametrize("value", [*NOT_SENDABLE, {"a": 1}, [[1]], [None]], ids=lambda v: type(v).__name__)
def test_what_a_form_cannot_hold_is_not_sent(value: object) -> None:
    """G5: a parameter that cannot be written down ends as *not sent*, with the parameter's name."""
    with pytest.raises(CallNotSent, match="'volume'"):
        encode_form({"volume": value})


@pytest.mark.parametrize("value", [*NOT_SENDABLE, [None]], ids=lambda v: type(v).__name__)
def test_what_json_cannot_hold_is_not_sent(value: object) -> None:
    """G5: the same for JSON bodies, at any depth."""
    with pytest.raises(CallNotSent):
        encode_json({"orders": [{"volume": value}]})


@pytest.mark.parametrize("params", [{"nonce": 1}, {"": "x"}, {1: "x"}, {"\udfff": "x"}])
@pytest.mark.parametrize("name", ["AddOrder", "CancelOrderBatch"])
def test_names_that_are_not_sent(name: str, params: dict[str, object]) -> None:
    """G1: nobody but the owner of the nonces puts a nonce into a call."""
    with pytest.raises(CallNotSent):
        encode(private_endpoint(name), params)


def test_an_error_does_not_repeat_the_value() -> None:
    """G11: the value may be a withdrawal key."""
    with pytest.raises(CallNotSent) as caught:
        encode_form({"key": b"my-secret-address"})
    assert "my-secret-address" not in str(caught.value)


def test_validate_false_is_left_out() -> None:
    """G9: Kraken has read the form text ``false`` as "validate only"; then nothing would be placed."""
    order = private_endpoint("AddOrder")
    assert encode(order, {"validate": False}).with_nonce(1) == b"nonce=1"
    assert encode(order, {"validate": True}).with_nonce(1) == b"nonce=1&validate=true"


SCALARS = (
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers(-(10**30), 10**30)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-(10**20), 10**20, allow_nan=False, places=10)
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda n: n != "nonce")


def said(value: object) -> object:
    """What a reader of the form has to understand."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


@given(params=st.dictionaries(NAMES, SCALARS))
def test_any_form_reads_back(params: dict[str, object]) -> None:
    """G12: whatever was given is what a strict reader of the form finds, and no number has an exponent."""
    body = encode_form(params).decode("ascii")
    read = dict(parse_qsl(body, keep_blank_values=True, strict_parsing=bool(body)))
    assert list(read) == list(params)
    for name, value in params.items():
        if isinstance(value, float):
            assert float(read[name]) == value
            assert "e" not in read[name].lower()
        elif isinstance(value, int | Decimal) and not isinstance(value, bool):
            assert Decimal(read[name]) == value
            assert "e" not in read[name].lower()
        else:
            assert read[name] == said(value)


# --- JSON bodies --------------------------------------------------------------


def test_json_body() -> None:
    """G12: nested orders go as JSON, the nonce and every decimal as a string."""
    body = encode(
        private_endpoint("AddOrderBatch"),
        {
            "pair": "XBTUSD",
            "orders": [{"volume": Decimal("1E-8"), "price": 0.1, "userref": 7, "cl_ord_id": None}],
            "validate": True,
        },
    )
    assert body.content_type == JSON
    assert body.with_nonce(NONCE) == (
        b'{"nonce":"1616492376594","pair":"XBTUSD",'
        b'"orders":[{"volume":"0.00000001","price":"0.1","userref":7}],"validate":true}'
    )
    assert encode(private_endpoint("CancelOrderBatch"), {}).with_nonce(5) == b'{"nonce":"5"}'


def test_a_list_that_holds_itself_is_not_sent() -> None:
    """G5: no parameter brings down the thread that encodes it."""
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(CallNotSent, match="too deeply"):
        encode_json({"orders": endless})


def plain(value: object) -> object:
    """The JSON value that a reader has to find."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


NESTED = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(10**30), 10**30) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
).filter(lambda v: len(repr(v)) < 500)


@given(params=st.dictionaries(NAMES, NESTED, max_size=4), nonce=st.integers(0, 2**64 - 1))
def test_any_json_reads_back(params: dict[str, object], nonce: int) -> None:
    """G5: the body is one JSON object with the nonce first and everything else as it was given."""
    try:
        body = encode(private_endpoint("CancelOrderBatch"), params).with_nonce(nonce)
    except CallNotSent as error:
        assert "too deeply" in str(error)  # noqa: PT017 - the only reason there can be
        return
    read = json.loads(body)
    assert next(iter(read)) == "nonce"
    assert read.pop("nonce") == str(nonce)
    assert read == plain({k: v for k, v in params.items() if not (k == "validate" and v is False)})


# --- a deadline that is known only later --------------------------------------

DEADLINED = st.tuples(
    st.dictionaries(NAMES, SCALARS, max_size=4), st.none() | st.text("2026-11T:.Z&=\"\\"),
    st.dictionaries(NAMES, SCALARS, max_size=4),
)  # fmt: skip


@pytest.mark.parametrize("endpoint", ["AddOrder", "AddOrderBatch"])
@given(given=DEADLINED, moment=st.floats(0, 4e9), otp=st.none() | st.builds(Secret, st.text("a&=1", min_size=1)))
def test_a_deadline_put_in_later_gives_the_bytes_of_encoding_all_at_once(
    endpoint: str, given: tuple[dict[str, object], str | None, dict[str, object]], moment: float, otp: Secret | None
) -> None:
    """G9: an order goes out with the deadline by Kraken's clock, in place of one that its sender gave."""
    before, old, after = given
    params = {**before, **({} if old is None else {"deadline": old}), **after}
    at_once = encode(private_endpoint(endpoint), {**params, "deadline": rfc3339(moment)}, otp=otp)
    assert encode(private_endpoint(endpoint), params, otp=otp).with_deadline(moment) == at_once


@given(params=st.dictionaries(NAMES, NESTED, max_size=4), moment=st.floats(0, 4e9))
def test_a_batch_keeps_all_that_is_nested_in_it(params: dict[str, object], moment: float) -> None:
    batch = private_endpoint("AddOrderBatch")
    try:
        body = encode(batch, params)
    except CallNotSent as error:
        assert "too deeply" in str(error)  # noqa: PT017 - the only reason there can be
        return
    assert body.with_deadline(moment) == encode(batch, {**params, "deadline": rfc3339(moment)})
