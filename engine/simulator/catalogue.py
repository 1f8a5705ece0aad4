"""The listed assets and pairs. The numbers are invented; their form is that of Kraken's replies.

Among the pairs are the odd ones that a client of the real exchange meets: pairs that only take cancels or post-only
orders, whose row has no status, whose volumes have five decimals, with margin for buyers only, without any margin,
with position limits above 2^32, with names that begin with a digit or are written with a dot, and with an empty book.
"""

from __future__ import annotations

from typing import NamedTuple

CURRENCY, TOKENIZED = "currency", "tokenized_asset"
INTERNATIONAL, BITNOMIAL = "international", "bitnomial_exchange"
BOTH_SIDES, BIDS_ONLY, NO_SIDE = "both", "bids", "none"


class ListedAsset(NamedTuple):
    """One asset, as the exchange lists it."""

    id: str
    altname: str
    decimals: int
    display_decimals: int
    collateral_value: float | None = None
    margin_rate: str | None = None
    status: str = "enabled"
    aclass: str = CURRENCY


class ListedPair(NamedTuple):
    """One pair, as the exchange lists it, and its last price.

    buyers, sellers: the highest leverage; 0 for no margin.  limits: of long and of short positions.
    status: `None` where the row does not tell it.  book: which sides of the book have orders in the beginning.
    """

    id: str
    altname: str
    wsname: str
    base: str
    quote: str
    pair_decimals: int
    ordermin: str
    costmin: str
    last: str
    lot_decimals: int = 8
    buyers: int = 0
    sellers: int = 0
    limits: tuple[int, int] | None = None
    status: str | None = "online"
    aclass: str = CURRENCY
    venue: str = INTERNATIONAL
    book: str = BOTH_SIDES

    @property
    def display(self) -> str:
        """The name with a slash that Kraken accepts: the wsname with today's names of bitcoin and dogecoin."""
        base, _, quote = self.wsname.partition("/")
        return f"{_DISPLAY.get(base, base)}/{_DISPLAY.get(quote, quote)}"


_DISPLAY = {"XBT": "BTC", "XDG": "DOGE"}

# id, altname, decimals, display_decimals, collateral_value, margin_rate, status
_ASSETS = """
XXBT      XBT       10 5 0.99  0.01  enabled
XETH      ETH       10 5 0.98  0.01  enabled
ZUSD      USD        4 2 1.0   0.025 enabled
ZEUR      EUR        4 2 0.99  0.02  enabled
ZGBP      GBP        4 2 0.99  0.02  enabled
USDT      USDT       8 4 0.95  0.025 enabled
USDC      USDC       8 4 0.98  -     enabled
XAUT      XAUT      10 6 -     -     enabled
XTZ       XTZ        8 5 0.8   -     enabled
ZRX       ZRX       10 5 -     -     enabled
ZETA      ZETA      10 5 -     -     enabled
DOT       DOT       10 8 0.85  0.02  enabled
DOT.S     DOT.S     10 8 -     -     enabled
KFEE      FEE        2 2 -     -     enabled
USD.M     USD.M      4 4 -     -     enabled
USD.HOLD  USD.HOLD   4 2 -     -     enabled
XBT.M     XBT.M     10 5 -     -     enabled
XXDG      XDG        8 2 0.9   0.02  enabled
XXRP      XRP        8 5 0.9   0.02  enabled
XLTC      LTC       10 5 0.9   0.02  enabled
XXLM      XLM        8 5 0.7   -     enabled
XXMR      XMR       10 5 -     -     withdrawal_only
XZEC      ZEC       10 5 -     -     enabled
XETC      ETC       10 5 0.5   -     enabled
XMLN      MLN       10 5 -     -     enabled
SOL       SOL       10 5 0.9   0.02  enabled
ADA       ADA        8 6 0.9   0.02  enabled
LINK      LINK      10 5 0.85  0.02  enabled
AVAX      AVAX      10 5 0.8   0.02  enabled
ATOM      ATOM       8 6 0.8   -     enabled
UNI       UNI       10 5 0.7   -     enabled
AAVE      AAVE      10 5 0.7   0.03  enabled
TRX       TRX        8 6 0.7   -     enabled
BCH       BCH       10 5 0.85  0.02  enabled
ALGO      ALGO       8 5 0.5   -     enabled
NEAR      NEAR      10 5 0.5   -     enabled
PEPE      PEPE      10 5 0.5   0.04  enabled
SHIB      SHIB       5 0 0.5   -     enabled
PAXG      PAXG      10 5 0.9   -     enabled
DAI       DAI       10 5 0.9   -     enabled
ACA       ACA       10 5 -     -     withdrawal_only
0G        0G        10 5 -     -     enabled
1INCH     1INCH     10 5 -     -     enabled
XION      XION      10 5 -     -     deposit_only
ZEUS      ZEUS      10 5 -     -     funding_temporarily_disabled
SNX       SNX       10 5 -     -     enabled
"""

# id, base, quote, pair_decimals, ordermin, costmin, last price, lot_decimals, highest leverage to buy, to sell, limits
# of long and short positions, status; "-" for what the row does not have.
_PAIRS = """
XXBTZUSD  XXBT  ZUSD 1 0.00005 0.5     68342.4    8 10 10 300 200              online
XETHZUSD  XETH  ZUSD 2 0.002   0.5     2641.17    8 10 10 5200 4100            online
XBTUSDT   XXBT  USDT 1 0.00005 0.5     68361.2    8  5  5 60 45                online
ETHUSDT   XETH  USDT 2 0.002   0.5     2641.83    8  5  5 900 700              online
XXBTZEUR  XXBT  ZEUR 1 0.00005 0.45    63204.8    8  5  5 220 180              online
XETHZEUR  XETH  ZEUR 2 0.002   0.45    2442.06    8  5  5 2600 2100            online
XETHXXBT  XETH  XXBT 5 0.002   0.00002 0.03865    8  5  5 1100 850             online
USDTZUSD  USDT  ZUSD 5 5       0.5     0.99978    8  3  3 2000000 1500000      online
USDCUSD   USDC  ZUSD 4 5       0.5     1.0000     8  0  0 - -                  online
EURZUSD   ZEUR  ZUSD 5 4.5     0.5     1.08130    8  0  0 - -                  online
XAUTUSD   XAUT  ZUSD 1 0.002   0.5     2655.3     8  0  0 - -                  online
XTZUSD    XTZ   ZUSD 4 7       0.5     0.6892     8  3  3 90000 60000          online
ZRXUSD    ZRX   ZUSD 4 15      0.5     0.3321     8  0  0 - -                  online
ZETAUSD   ZETA  ZUSD 4 10      0.5     0.6483     8  0  0 - -                  online
DOTUSD    DOT   ZUSD 4 1       0.5     4.3817     8  3  3 75000 55000          online
DOTEUR    DOT   ZEUR 4 1       0.45    4.0522     8  3  3 52000 40000          online
DOTXBT    DOT   XXBT 7 1       0.00002 0.0000641  8  0  0 - -                  -
XXBTZGBP  XXBT  ZGBP 1 0.00005 0.43    52980.3    8  0  0 - -                  online
XETHZGBP  XETH  ZGBP 2 0.002   0.43    2047.35    8  0  0 - -                  online
XBTUSDC   XXBT  USDC 1 0.00005 0.5     68344.9    8  0  0 - -                  online
ETHUSDC   XETH  USDC 2 0.002   0.5     2641.02    8  0  0 - -                  online
XDGUSD    XXDG  ZUSD 7 45      0.5     0.1486213  8 10 10 28000000 26000000    online
XDGEUR    XXDG  ZEUR 7 45      0.45    0.1374417  8  3  3 11000000 9000000     online
XXDGXXBT  XXDG  XXBT 8 45      0.00002 0.00000217 8  0  0 - -                  online
XXRPZUSD  XXRP  ZUSD 5 8       0.5     0.53214    8  5  5 4400000 3900000      online
XXRPZEUR  XXRP  ZEUR 5 8       0.45    0.49207    8  5  5 2100000 1800000      online
XXRPXXBT  XXRP  XXBT 8 8       0.00002 0.00000778 8  0  0 - -                  online
XLTCZUSD  XLTC  ZUSD 2 0.06    0.5     71.48      8  3  3 12000 9000           online
XLTCZEUR  XLTC  ZEUR 2 0.06    0.45    66.11      8  3  3 7000 5000            online
XXLMZUSD  XXLM  ZUSD 6 45      0.5     0.094127   8  0  0 - -                  online
XXLMZEUR  XXLM  ZEUR 6 45      0.45    0.087052   8  0  0 - -                  -
XXMRZUSD  XXMR  ZUSD 2 0.03    0.5     157.62     8  0  0 - -                  cancel_only
XXMRZEUR  XXMR  ZEUR 2 0.03    0.45    145.77     8  0  0 - -                  cancel_only
XZECZUSD  XZEC  ZUSD 2 0.12    0.5     38.91      8  0  0 - -                  online
XETCZUSD  XETC  ZUSD 3 0.25    0.5     18.642     8  2  0 21000 0              online
XMLNZUSD  XMLN  ZUSD 3 0.3     0.5     15.204     8  0  0 - -                  post_only
SOLUSD    SOL   ZUSD 2 0.05    0.5     171.36     8 10 10 36000 23000          online
SOLEUR    SOL   ZEUR 2 0.05    0.45    158.44     8  5  5 17000 11000          online
SOLXBT    SOL   XXBT 7 0.05    0.00002 0.0025071  8  0  0 - -                  online
ADAUSD    ADA   ZUSD 6 12      0.5     0.352418   8  5  5 2900000 2500000      online
ADAEUR    ADA   ZEUR 6 12      0.45    0.325906   8  5  5 1400000 1200000      online
LINKUSD   LINK  ZUSD 5 0.4     0.5     11.42713   8  3  3 64000 51000          online
LINKEUR   LINK  ZEUR 5 0.4     0.45    10.56742   8  3  3 31000 24000          -
AVAXUSD   AVAX  ZUSD 2 0.18    0.5     27.35      5  3  3 33000 28000          online
AVAXEUR   AVAX  ZEUR 2 0.18    0.45    25.29      5  0  0 - -                  online
ATOMUSD   ATOM  ZUSD 4 1.1     0.5     4.4081     8  0  0 - -                  online
UNIUSD    UNI   ZUSD 3 0.6     0.5     7.812      5  0  0 - -                  online
AAVEUSD   AAVE  ZUSD 2 0.03    0.5     149.27     8  3  3 2300 2300            online
AAVEXBT   AAVE  XXBT 6 0.03    0.00002 0.002184   8  0  0 - -                  online
TRXUSD    TRX   ZUSD 6 30      0.5     0.163752   5  0  0 - -                  online
BCHUSD    BCH   ZUSD 2 0.012   0.5     351.63     8  3  3 2600 2100            online
BCHEUR    BCH   ZEUR 2 0.012   0.45    325.18     8  0  0 - -                  online
ALGOUSD   ALGO  ZUSD 5 35      0.5     0.12043    8  0  0 - -                  -
NEARUSD   NEAR  ZUSD 3 1       0.5     4.613      5  0  0 - -                  online
PEPEUSD   PEPE  ZUSD 9 480000  0.5     0.000009871 5 3 0 6000000000 0          online
PEPEEUR   PEPE  ZEUR 9 480000  0.45    0.000009128 5 0 0 - -                   online
SHIBUSD   SHIB  ZUSD 8 250000  0.5     0.00001774 5  3  3 5200000000 4800000000 online
PAXGUSD   PAXG  ZUSD 2 0.002   0.5     2661.84    8  0  0 - -                  online
DAIUSD    DAI   ZUSD 5 5       0.5     0.99991    8  0  0 - -                  online
ACAEUR    ACA   ZEUR 5 900     0.45    0.05716    8  0  0 - -                  cancel_only
0GUSD     0G    ZUSD 3 30      0.5     0.971      5  2  0 38000 0              online
0GEUR     0G    ZEUR 3 30      0.45    0.898      5  0  0 - -                  online
1INCHUSD  1INCH ZUSD 4 12      0.5     0.2713     8  0  0 - -                  online
1INCHEUR  1INCH ZEUR 4 12      0.45    0.2509     8  0  0 - -                  post_only
XIONUSD   XION  ZUSD 4 5       0.5     0.9144     5  0  0 - -                  post_only
ZEUSUSD   ZEUS  ZUSD 4 15      0.5     0.3027     5  0  0 - -                  reduce_only
SNXUSD    SNX   ZUSD 3 2       0.5     1.483      5  0  0 - -                  -
"""

# The altname of the share, ids of its pairs but the usual one, last price, status, sides of the book. A share is
# listed twice under one altname and one wsname: the share-equivalent and the token behind it, at another price.
_SHARES = """
AAPLx   AAPLSPVUSD  228.17  online    both
TSLAx   TSLASPVUSD  251.44  online    both
NVDAx   NVDASPVUSD  139.52  online    both
AMDx    AMDSPVUSD   143.08  post_only both
SNx     SNSPVUSD    12.61   online    both
TQQQx   -           74.93   post_only both
BRK.Bx  -           462.35  online    both
ADBEx   -           495.70  online    bids
CRWVx   -           87.14   online    none
"""

# id of the international pair, pair_decimals, ordermin, highest leverage, limits of positions
_AT_BITNOMIAL = """
XXBTZUSD 0 0.0001 10 120 120
XETHZUSD 1 0.005  10 1800 1800
SOLUSD   2 0.1     5 9000 9000
"""


def _lines(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


def _asset(id: str, altname: str, decimals: str, shown: str, collateral: str, margin: str, status: str) -> ListedAsset:
    worth = None if collateral == "-" else float(collateral)
    return ListedAsset(id, altname, int(decimals), int(shown), worth, None if margin == "-" else margin, status)


ASSETS = tuple(_asset(*line) for line in _lines(_ASSETS)) + tuple(
    ListedAsset(line[0], line[0], 8, 5, aclass=TOKENIZED) for line in _lines(_SHARES)
)
_ALTNAMES = {asset.id: asset.altname for asset in ASSETS}


def _pair(id: str, base: str, quote: str, *rest: str) -> ListedPair:
    decimals, ordermin, costmin, last, lot, buyers, sellers, longs, shorts, status = rest
    one, other = _ALTNAMES[base], _ALTNAMES[quote]
    limits = None if longs == "-" else (int(longs), int(shorts))
    return ListedPair(
        id, one + other, f"{one}/{other}", base, quote, int(decimals), ordermin, costmin, last, int(lot),
        int(buyers), int(sellers), limits, None if status == "-" else status,
    )  # fmt: skip


def _share(name: str, token: str, last: str, status: str, book: str) -> list[ListedPair]:
    share = ListedPair(
        f"{name}USD", f"{name}USD", f"{name}/USD", name, "ZUSD", 2, "0.00000001", "0.5", last, buyers=3, sellers=3,
        limits=(400, 400), status=status, aclass=TOKENIZED, book=book,
    )  # fmt: skip
    return [share] if token == "-" else [share._replace(id=token, last=f"{float(last) * 1.01:.2f}"), share]


def _at_bitnomial(id: str, decimals: str, ordermin: str, leverage: str, longs: str, shorts: str) -> ListedPair:
    pair = next(pair for pair in PAIRS if pair.id == id)
    name, last = f"{pair.altname}:BTNL", f"{float(pair.last):.{decimals}f}"
    return pair._replace(
        id=name, altname=name, wsname=f"{pair.wsname}:BTNL", pair_decimals=int(decimals), ordermin=ordermin, last=last,
        buyers=int(leverage), sellers=int(leverage), limits=(int(longs), int(shorts)), venue=BITNOMIAL,
    )  # fmt: skip


PAIRS = tuple(_pair(*line) for line in _lines(_PAIRS))
SHARES = tuple(pair for line in _lines(_SHARES) for pair in _share(*line))
AT_BITNOMIAL = tuple(_at_bitnomial(*line) for line in _lines(_AT_BITNOMIAL))
