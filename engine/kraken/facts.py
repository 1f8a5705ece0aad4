"""Facts that Kraken's documentation leaves uncertain, and what the engine assumes until a key's owner has asked Kraken.

Each fact has a strict answer, which holds until Kraken's replies show another. A laxer answer is used only where it
cannot cost money; the table says what each answer changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from engine.values.dataclass import dataclass

EARN, FEE, NAMES, ORDER, WALLETS = "auto-earn", "fee", "names", "order", "wallets"
COST, PLACED, TICKER, VENUES, PRODUCTS = "call-cost", "placed-order", "ticker", "venues", "products"
BOOLEANS, POST = "booleans", "public-post"


EARN_HOLDS = 30 * 86_400.0  # seconds


class NotSettled(Exception):
    """Kraken's answer settles nothing; the reason, as a whole sentence."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One uncertain fact.

    question: in words. strict: the answer that holds until it is settled. answers: the consequence of each, for a
    person. harmful: answers with which the engine cannot do all of its work. advice: what to do about an answer.
    of_account: whether each account has its own answer.
    """

    name: str
    question: str
    strict: str
    answers: Mapping[str, str]
    harmful: frozenset[str] = frozenset()
    advice: Mapping[str, str] = field(default_factory=dict)
    of_account: bool = False


@dataclass(frozen=True, slots=True)
class Learnt:
    """The answer learnt for a fact, the observation in words (no personal data), and when it was made (Unix time)."""

    fact: str
    answer: str
    seen: str
    account: str
    at: float = 0.0

    @property
    def consequence(self) -> str:
        """What follows from it."""
        return FACTS[self.fact].answers[self.answer]

    @property
    def is_harmful(self) -> bool:
        """Whether the engine cannot do all of its work."""
        return self.answer in FACTS[self.fact].harmful

    @property
    def key(self) -> str:
        """The key under which it is stored: with the account's name if each account has its own answer."""
        return f"{self.fact}/{self.account}" if FACTS[self.fact].of_account else self.fact

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `of` reads it."""
        return {"fact": self.fact, "answer": self.answer, "seen": self.seen, "account": self.account, "at": self.at}

    @classmethod
    def of(cls, document: Any) -> Learnt | None:
        """The row of `to_dict`; `None` for a malformed row, or one with an answer that this version does not know."""
        try:
            read = cls(**document)
            return read if read.answer in FACTS[read.fact].answers else None
        except (TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True)
class Facts:
    """The answers in force: the learnt ones, else the strict ones."""

    learnt: Mapping[str, Learnt] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Mapping[str, Any]) -> Facts:
        """What a file of facts says; unknown entries are ignored."""
        read = (Learnt.of(each) for each in documents.values())
        return cls({each.key: each for each in read if each is not None})

    def answer(self, fact: str, account: str | None = None) -> str:
        """The answer in force."""
        key = f"{fact}/{account}" if FACTS[fact].of_account else fact
        return self.learnt[key].answer if key in self.learnt else FACTS[fact].strict

    def auto_earn(self, now: float) -> str:
        """How an Auto-Earn row and the asset's own row add up at `now` (Unix seconds): an answer to `EARN`.

        Kraken has deprecated these rows, so the answer that both count holds for `EARN_HOLDS` only; after that the
        strict answer holds until the question is settled again.
        """
        learnt = self.learnt.get(EARN)
        if learnt is None or (learnt.answer == "apart" and not 0 <= now - learnt.at <= EARN_HOLDS):
            return FACTS[EARN].strict
        return learnt.answer

    def harmful(self) -> Iterator[Learnt]:
        """The learnt answers that keep the engine from part of its work."""
        return (each for each in self.learnt.values() if each.is_harmful)


def _table(*facts: Fact) -> Mapping[str, Fact]:
    return {each.name: each for each in facts}


FACTS: Mapping[str, Fact] = _table(
    Fact(
        EARN, "Is the amount of an Auto-Earn row (.F) also in the asset's own row?", "unknown",
        {
            "unknown": "Where both rows could hold the same money it is counted once.",
            "apart": "Both rows are counted for 30 days; then what looks like the same money is counted once again.",
            "in-base": "Only the asset's own row is counted.",
        },
    ),
    Fact(
        FEE, "What does TradeVolume tell of the fee that this account pays?", "not-told",
        {
            "not-told": "The engine counts with its bound of the dearest published fee.",
            "told": "The engine counts with it.",
            "in-doubt": "Its two places differ, so the engine counts with the higher one.",
        },
        of_account=True,
    ),
    Fact(
        NAMES, "Which names of a pair does Kraken take?", "not-known",
        {
            "not-known": "The engine sends Kraken's id or altname, and finds a reply's row by what it trades.",
            "by-id": "Replies are keyed by the id, and the engine finds their rows by what they trade.",
            "echoed": "A name with a slash comes back as the key, and the engine finds the row by what it trades.",
            "refused": "Kraken does not take the name with a slash, and the engine sends the altname.",
        },
    ),
    Fact(
        ORDER, "Does Kraken take an order as the engine sends it?", "not-tried",
        {
            "not-tried": "The first order will tell.",
            "taken": "Orders are sent with a name of ours and with a deadline, after which Kraken takes them no more.",
            "deadline-refused": "Live orders of this engine will be refused. It does not leave the deadline away by "
            "itself: without it an order that was lost on the way could appear after it was taken for not placed, and "
            "a second one would be sent.",
            "name-refused": "Live orders of this engine will be refused. It does not leave its name for them away: "
            "without it an order could not be found again after its answer was lost.",
            "refused": "Live orders of this account will be refused.",
        },
        harmful=frozenset({"deadline-refused", "name-refused", "refused"}), of_account=True,
        advice={
            "deadline-refused": "Do not trade with this engine until a version of it says how it sends orders without.",
            "name-refused": "Do not trade with this engine until a version of it says how it sends orders without.",
            "refused": "Look up Kraken's error, fix what it says, and ask again.",
        },
    ),
    Fact(
        WALLETS, "Which of the account's wallets does Balance show?", "not-known",
        {
            "not-known": "The balance is taken for all of the account.",
            "one": "The balance is all of the account.",
            "several-all": "Balance sums them: what lies in another wallet may not be there for orders.",
            "several-some": "Balance shows not all of them: money in the others is not seen.",
            "several": "Which of them Balance shows is not known.",
        },
        advice=dict.fromkeys(
            ("several-all", "several-some", "several"), "Keep what is traded with in the account's first wallet."
        ),
        of_account=True,
    ),
    Fact(
        COST, "Does Kraken limit calls earlier than the engine's own count?", "not-known",
        {
            "not-known": "The dearer published costs are counted.",
            "as-counted": "The dearer published costs are enough.",
            "earlier": "Kraken counts more than is published, or another program uses the key.",
        },
        advice={"earlier": "Give the engine a key of its own; if that is so already, poll less often."},
        of_account=True,
    ),
    Fact(
        PLACED, "How soon does a placed order appear in the lists, and how is it gone again?", "not-tried",
        {
            "not-tried": "An order that is missing from the lists is looked for until `settle_margin` after its "
            "deadline.",
            "seen": "It appeared well within that time, which stays as it is.",
            "late": "It appeared later than `settle_margin` allows: raise that setting before you trade.",
        },
        harmful=frozenset({"late"}), advice={"late": "Raise [settings] settle_margin."},
    ),
    Fact(
        TICKER, "Does one unknown name spoil a Ticker reply for the others?", "lost",
        {
            "lost": "The engine asks again for each name alone.",
            "kept": "The rows that come are used; what is missing is asked for again.",
        },
    ),
    Fact(
        VENUES, "Does AssetPairs list the pairs of another venue (:BTNL)?", "not-known",
        {
            "not-known": "A pair of another venue is a market of its own.",
            "listed": "A pair of another venue is a market of its own, and never asked for in Ticker.",
            "not-listed": "None can be met by chance.",
        },
    ),
    Fact(
        PRODUCTS, "Is a refused order the key's fault, or the product's?", "not-known",
        {
            "not-known": "A refusal of one product holds back that product, never the key.",
            "taken": "The key may trade this pair.",
            "product": "The key may trade, so the refusal is about this product or country; only it is held back.",
            "key": "The key may not trade: give it the permission on Kraken's API page.",
        },
        harmful=frozenset({"product", "key"}), of_account=True,
        advice={
            "product": "Ask Kraken what your country may trade, or trade another pair.",
            "key": "Give the key the permission 'Create & modify orders'.",
        },
    ),
    Fact(
        BOOLEANS, "Does Kraken understand True as well as true?", "refused",
        {
            "refused": "The engine writes true and false.",
            "taken": "The engine writes true and false all the same.",
        },
    ),
    Fact(
        POST, "Does Kraken answer public calls that are sent as POST?", "refused",
        {
            "refused": "The engine sends them as GET.",
            "taken": "The engine sends them as GET all the same; clients that post reach Kraken.",
        },
    ),
)  # fmt: skip
