"""`kraken-engine help`: the manual, in the terminal."""

from __future__ import annotations

import re
from importlib import resources

import click

from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import document

ORDER = (
    "first-hour", "real-kraken", "concepts", "balances", "orders", "gates", "configuration", "service", "gateway",
    "push", "adapters", "at-3-am", "alerts", "errors", "simulator", "embedding", "moving", "storage", "cluster",
    "cluster-running", "cluster-door", "cluster-scale", "security",
)  # fmt: skip
"""The topics in reading order; each is a file in `engine/manual`."""

_DIRECTIVE = re.compile(r"^ *\.\. code-block:: .*\n\n", re.MULTILINE)
_LINK = re.compile(r"`([^`<]+?)\s*<([^>]+)>`_")


@click.command("help")
@common
@click.argument("topic", required=False)
@pass_options
@click.pass_context
def help_(context: click.Context, options: Options, topic: str | None) -> int:
    """Print a topic of the manual; without TOPIC, list the topics.

    For the options of a command: kraken-engine COMMAND --help.
    """
    if topic is None:
        _list_topics(options)
        return Exit.DONE
    if topic not in ORDER:
        raise click.UsageError(_unknown(topic, context))
    text = page(topic)
    if options.json:
        document({"topic": topic, "title": _title(text), "text": text})
    else:
        click.echo(readable(text), nl=False)
    return Exit.DONE


def page(topic: str) -> str:
    """A topic's text, in reStructuredText."""
    return (resources.files("engine") / "manual" / f"{topic}.rst").read_text(encoding="utf-8")


def readable(text: str) -> str:
    """The text without the markup that is of no use in a terminal."""
    return _LINK.sub(r"\1 (\2)", _DIRECTIVE.sub("", text)).replace("::\n", ":\n")


def _list_topics(options: Options) -> None:
    titles = {topic: _title(page(topic)) for topic in ORDER}
    if options.json:
        document({"topics": [{"topic": topic, "title": title} for topic, title in titles.items()]})
        return
    width = max(map(len, titles)) + 2
    click.echo("Topics of the manual; kraken-engine help TOPIC prints one:\n")
    click.echo("\n".join(f"  {topic:{width}}{_about(title)}" for topic, title in titles.items()))


def _title(text: str) -> str:
    return text.split("\n", 1)[0]


def _about(title: str) -> str:
    return title.partition(": ")[2]


def _unknown(topic: str, context: click.Context) -> str:
    """What to do about a topic that does not exist."""
    import difflib  # noqa: PLC0415 - needed here only; every command's start would pay for it

    group = context.parent.command if context.parent else None
    if isinstance(group, click.Group) and topic in group.commands:
        return f"The manual has no topic {topic!r}: for that command run kraken-engine {topic} --help."
    close = difflib.get_close_matches(topic, ORDER, n=3) or ORDER
    return f"The manual has no topic {topic!r}: try {', '.join(close)}."
