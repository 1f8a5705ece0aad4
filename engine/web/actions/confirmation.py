"""The pages of an action: what it would do and for which account, to be confirmed, and what came of it."""

from __future__ import annotations

from engine.app.status import EngineStatus
from engine.web.actions.action import Action
from engine.web.page.document import document
from engine.web.page.html import Child, element
from engine.web.page.mode import mode_of

PATH = "/act"


def confirmation(
    status: EngineStatus, name: str, action: Action, account: str, order: str, *, told: str, token: str,
    wrong: str = "",
) -> str:  # fmt: skip
    """The form. `told`: what is known of the order; `wrong`: why it was not done the last time."""
    title = f"{action.words} · {account}"
    facts = [("Account", account), *([("Order", f"{order}: {told}")] if action.is_on_order else [])]
    hidden = {"action": name, "account": account, "order": order, "token": token}
    form = element(
        "form",
        *(element("input", type="hidden", name=each, value=value) for each, value in hidden.items()),
        element("label", f"Type {account} to confirm", for_="confirm"),
        element("input", type="text", name="confirm", id="confirm", required=True, autocomplete="off",
                autocapitalize="off", spellcheck="false", autofocus=True,
                aria_describedby="wrong" if wrong else None, aria_invalid="true" if wrong else None),
        element("p", wrong, id="wrong", role="alert") if wrong else None,
        element("button", _capital(action.words), type="submit"),
        method="post", action=PATH,
    )  # fmt: skip
    return _page(status, title, (
        element("h1", f"{_capital(action.words)}?"),
        element("p", action.meaning),
        element("dl", *(part for name, value in facts for part in (element("dt", name), element("dd", value)))),
        form,
        element("p", element("a", "Back, and do nothing", href="/")),
    ))  # fmt: skip


def result(status: EngineStatus, words: str, account: str, sentence: str, *, is_done: bool) -> str:
    """What came of it."""
    heading = f"{_capital(words)}: {'done' if is_done else 'not done, or not known to be done'}"
    return _page(status, f"{'✓' if is_done else '✕'} {words} · {account}", (
        element("h1", heading),
        element("p", f"{account}: {sentence}", role="status"),
        element("p", element("a", "Back to the dashboard", href="/")),
    ), state="good" if is_done else "bad")  # fmt: skip


def _page(status: EngineStatus, title: str, children: tuple[Child, ...], state: str = "warn") -> str:
    mode = mode_of(status)
    head = element("header", element("p", "kraken-engine", class_="brand"), element("p", mode.sentence, class_="badge"))
    body = element("body", head, element("main", *children, class_="narrow"), data_mode=mode.name)
    return document(f"{title} · {mode.word} · kraken-engine", state, body, live=False)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
