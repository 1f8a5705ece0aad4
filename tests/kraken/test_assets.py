"""Asset identity by table (promises G6 and G12: no balance is lost, doubled, or given to another asset)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kraken.assets import AssetTable
from engine.values import Bucket

SHIPPED = AssetTable.shipped()


@pytest.mark.parametrize(
    ("row", "asset", "bucket"),
    [
        ("XXBT", "XBT", Bucket.SPOT), ("XETH", "ETH", Bucket.SPOT), ("XXDG", "XDG", Bucket.SPOT),
        ("XLTC", "LTC", Bucket.SPOT), ("XXMR", "XMR", Bucket.SPOT), ("XXRP", "XRP", Bucket.SPOT),
        ("XXLM", "XLM", Bucket.SPOT), ("XZEC", "ZEC", Bucket.SPOT), ("XETC", "ETC", Bucket.SPOT),
        ("XMLN", "MLN", Bucket.SPOT), ("XREP", "REP", Bucket.SPOT), ("ZUSD", "USD", Bucket.SPOT),
        ("ZEUR", "EUR", Bucket.SPOT), ("ZGBP", "GBP", Bucket.SPOT), ("ZCAD", "CAD", Bucket.SPOT),
        ("ZAUD", "AUD", Bucket.SPOT), ("ZJPY", "JPY", Bucket.SPOT), ("KFEE", "FEE", Bucket.SPOT),
        ("USD", "USD", Bucket.SPOT), ("XBT", "XBT", Bucket.SPOT), ("DOT", "DOT", Bucket.SPOT),
        ("XAUT", "XAUT", Bucket.SPOT), ("XTZ", "XTZ", Bucket.SPOT), ("ZRX", "ZRX", Bucket.SPOT),
        ("ZETA", "ZETA", Bucket.SPOT), ("XION", "XION", Bucket.SPOT), ("ZEUS", "ZEUS", Bucket.SPOT),
        ("ZORA", "ZORA", Bucket.SPOT), ("XNEW", "XNEW", Bucket.SPOT), ("ZNEW", "ZNEW", Bucket.SPOT),
        ("USD.F", "USD", Bucket.EARN_AUTO), ("ZUSD.F", "USD", Bucket.EARN_AUTO),
        ("XBT.F", "XBT", Bucket.EARN_AUTO), ("XXBT.F", "XBT", Bucket.EARN_AUTO),
        ("XAUT.F", "XAUT", Bucket.EARN_AUTO), ("USDT.F", "USDT", Bucket.EARN_AUTO),
        ("SOL.B", "SOL", Bucket.BONDED), ("ADA.S", "ADA", Bucket.BONDED), ("USD.M", "USD", Bucket.OPT_IN),
        ("DOT.P", "DOT", Bucket.PARKED), ("TSLAx.T", "TSLAx", Bucket.TOKENISED), ("USD.HOLD", "USD", Bucket.HOLD),
        ("ETH2.S", "ETH2", Bucket.BONDED), ("ETH2", "ETH2", Bucket.SPOT),
        ("DOT28.S", "DOT", Bucket.BONDED), ("KSM07.S", "KSM", Bucket.BONDED), ("FLOWH.S", "FLOWH", Bucket.BONDED),
        ("DOT28", "DOT28", Bucket.SPOT), ("DOT28.F", "DOT28", Bucket.EARN_AUTO), ("NEW28.S", "NEW28", Bucket.BONDED),
        ("C98.S", "C98", Bucket.BONDED), ("USD.Q", "USD", Bucket.UNKNOWN), ("USD.f", "USD", Bucket.UNKNOWN),
        ("AAPLx", "AAPLx", Bucket.SPOT), ("BRK.Bx", "BRK.Bx", Bucket.SPOT), ("BRK.Bx.T", "BRK.Bx", Bucket.TOKENISED),
        ("BRK.Bx.F", "BRK.Bx", Bucket.EARN_AUTO), ("BRK.B", "BRK", Bucket.BONDED), ("USD.Fx", "USD.Fx", Bucket.SPOT),
        ("USD.", "USD", Bucket.UNKNOWN), ("USD.F.S", "USD", Bucket.UNKNOWN), (".F", ".F", Bucket.UNKNOWN),
    ],
)  # fmt: skip
def test_rows(row: str, asset: str, bucket: Bucket) -> None:
    """G12: each row belongs to one asset and one wallet, whatever letters it begins with."""
    assert SHIPPED.locate(row) == (asset, bucket)


def test_only_spot_and_auto_earn_can_be_spent() -> None:
    """G6: what is bonded, parked, on hold or unknown never counts as available."""
    assert {bucket for bucket in Bucket if bucket.spendable} == {Bucket.SPOT, Bucket.EARN_AUTO}


def test_kraken_adds_names() -> None:
    """G12: a legacy name that is not shipped becomes known from Kraken's Assets."""
    table = SHIPPED.with_assets(
        {
            "ZNGN": {"aclass": "currency", "altname": "NGN", "decimals": 4},
            "SUI": {"altname": "SUI"},
            "USD.M": {"altname": "USD.M"},
            "ETH2.S": {"altname": "ETH2.S"},
            "XXBT": {"altname": "XBT"},
        }
    )
    assert table.locate("ZNGN") == ("NGN", Bucket.SPOT)
    assert table.locate("NGN.HOLD") == ("NGN", Bucket.HOLD)
    assert table.locate("SUI21.S") == ("SUI", Bucket.BONDED)
    assert table.locate("USD.M") == ("USD", Bucket.OPT_IN)
    assert table.locate("ETH2.S") == ("ETH2", Bucket.BONDED)
    assert SHIPPED.locate("ZNGN") == ("ZNGN", Bucket.SPOT)


def test_an_asset_that_ends_in_digits_is_not_a_bonded_form() -> None:
    """G12: DOT28 would be an asset of its own if Kraken listed one."""
    table = SHIPPED.with_assets({"DOT28": {"altname": "DOT28"}})
    assert table.locate("DOT28.S") == ("DOT28", Bucket.BONDED)
    assert SHIPPED.with_assets({"LUNA": {"altname": "LUNA"}}).locate("LUNA2.S") == ("LUNA2", Bucket.BONDED)


@pytest.mark.parametrize(
    "reply",
    [
        {"SCAM": {"altname": "USD"}},
        {"ZUSD": {"altname": "EUR"}},
        {"USD": {"altname": "JUNK"}},
        {"A": {"altname": "C"}, "B": {"altname": "C"}},
        {"A": {"altname": "B"}, "B": {"altname": "D"}},
        {"A": {"altname": "B"}, "B": {"altname": "A"}},
        {"A": {"altname": "B"}, "B": {"altname": "B"}},
        {"A": {"altname": "ETH2"}},
    ],
)
def test_a_reply_merges_no_two_assets(reply: dict[str, object]) -> None:
    """G6: a wrong row in Assets must not turn another asset into cash."""
    table = SHIPPED.with_assets(reply)
    names = [*reply, "ZUSD", "ZEUR", "ETH2"]
    assert table.locate("ZUSD").asset == table.locate("USD").asset == "USD"
    assert table.locate("ZEUR").asset == "EUR"
    assert table.locate("A").asset == "A"
    assert all(table.locate(plain).asset == plain for plain in table.names.values())
    assert len({table.locate(name).asset for name in names}) == len(set(names) - {"USD"})


def test_a_tokenized_asset_may_have_a_dot_in_its_name() -> None:
    """Kraken says what kind of asset it lists; an asset of the usual kind has a suffix after its dot."""
    listed = {"BF.A": {"altname": "BF.A", "aclass": "tokenized_asset"}, "NEW.A": {"altname": "NEW.A"}}
    table = SHIPPED.with_assets(listed)
    assert table.locate("BF.A") == ("BF.A", Bucket.SPOT)
    assert table.locate("NEW.A") == ("NEW", Bucket.UNKNOWN)
    assert SHIPPED.locate("BF.A") == ("BF", Bucket.UNKNOWN)


@pytest.mark.parametrize(
    ("name", "plain"),
    [("USD", "USD"), ("ZUSD", "USD"), ("usd", "USD"), ("BTC", "XBT"), ("btc", "XBT"), ("XXBT", "XBT"), ("doge", "XDG"),
     ("USDT", "USDT"), ("EURO", None), ("", None), ("USD.F", None)],
)  # fmt: skip
def test_the_names_that_people_use(name: str, plain: str | None) -> None:
    assert SHIPPED.plain(name) == plain


@pytest.mark.parametrize(
    "reply",
    [None, [], "Assets", 7, {}, {"A": None}, {"A": []}, {"A": {}}, {"A": {"altname": None}}, {"A": {"altname": 7}},
     {"A": {"altname": ""}}, {"A": {"altname": "x.F"}}, {"A": {"altname": "a b"}}, {7: {"altname": "A"}},
     {"": {"altname": "A"}}, {"A": {"altname": "Y" * 99}}, {"A": {"altname": ["USD"]}},
     {"ZUSD": {"altname": "DOLLAR"}}],
)  # fmt: skip
def test_malformed_replies_change_nothing(reply: object) -> None:
    """G6: never worse than the shipped table."""
    assert SHIPPED.with_assets(reply) == SHIPPED


def test_a_table_cannot_be_changed() -> None:
    """G8: readers share it without a lock."""
    with pytest.raises(TypeError):
        SHIPPED.names["XXBT"] = "USD"  # type: ignore[index]
    with pytest.raises(AttributeError):
        SHIPPED.names = {}  # type: ignore[misc]


WORDS = st.sampled_from(["A", "B", "C", "USD", "ZUSD", "XBT", "XXBT", "DOT", "DOT28", "ETH2", "XAUT", "FEE", "KFEE"])
JUNK = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.text(max_size=2), max_size=2)
REPLIES = st.dictionaries(WORDS | st.text(max_size=4), st.builds(lambda a: {"altname": a}, WORDS | JUNK) | JUNK)


@given(replies=st.lists(REPLIES, max_size=3))
def test_any_replies_keep_the_shipped_names(replies: list[dict[str, object]]) -> None:
    """G6, G12: known names keep their meaning, plain names are fixed points, and no two assets merge."""
    table = SHIPPED
    for reply in replies:
        before, table = table, table.with_assets(reply)
        assert before.names.items() <= table.names.items()
    for name, plain in table.names.items():
        assert table.names[plain] == plain
        assert table.locate(f"{name}.F") == (plain, Bucket.EARN_AUTO)
    for plain in set(table.names.values()):
        assert sum(p == plain and n != plain for n, p in table.names.items()) <= 1


@given(row=st.text(max_size=12))
def test_any_row_is_located(row: str) -> None:
    """G6: no row of a reply is dropped or brings the reader down."""
    asset, bucket = SHIPPED.locate(row)
    assert isinstance(bucket, Bucket)
    assert asset or not row
