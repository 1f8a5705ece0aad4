"""The command line: its commands, and the exit code for every way that one can end."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

import click

from engine.cli.commands import CommandGroup, Commands
from engine.cli.exits import HELP, Exit, advice, exit_code, failure
from engine.cli.options import Options, common
from engine.cli.output import document, say
from engine.errors import EngineError, without_secrets
from engine.version import __version__

PROGRAM = "kraken-engine"
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
_SHOWN = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=CommandGroup, commands=Commands(), epilog=HELP, context_settings=_SHOWN)
@click.version_option(__version__, prog_name=PROGRAM)
@common
def program() -> None:
    """Gets a trading bot through to Kraken: durable nonces, one private lane, honest balances.

    Accounts come from the environment: KRAKEN_API_KEY and KRAKEN_API_SECRET are MASTER,
    KRAKEN_USER_<NAME>_API_KEY and KRAKEN_USER_<NAME>_API_SECRET are user NAME; each also as ..._FILE, the name of a
    file that holds the value. Or from a TOML file (--config). A secret is never given on the command line.

    Try it without a key: kraken-engine demo. The manual: kraken-engine help.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code. Nothing ends in a traceback."""
    if sys.stdout is None:  # it was closed, and the next file to be opened would get its number
        say("There is no standard output: send it to /dev/null if it is not wanted.")
        return Exit.OUTPUT
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a character that the terminal cannot show is not an error
    try:
        with _logging_restored(), _ended_by_signal():
            code = _run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_stdout()
        return Exit.BROKEN_PIPE
    except OSError as error:
        _forget_stdout()
        say(f"The output cannot be written: {error.strerror}.")
        return Exit.OUTPUT
    except KeyboardInterrupt:
        say("Interrupted.")
        return Exit.INTERRUPTED


def _run(arguments: Sequence[str]) -> int:
    options = Options(json="--json" in arguments)  # known before click has parsed it, or failed to
    try:
        with program.make_context(PROGRAM, list(arguments), obj=options) as context:
            return int(program.invoke(context) or Exit.DONE)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        click.echo(without_secrets(told.getvalue()), err=True, nl=False)
        return _failed(options, error, without_secrets(error.format_message()), error.exit_code)
    except EngineError as error:
        for sentence in (str(error), *advice(error)):
            say(sentence)
        return _failed(options, error, str(error), exit_code(error))
    except (KeyboardInterrupt, click.Abort) as error:
        say("Interrupted.")
        return _failed(options, error, "Interrupted.", Exit.INTERRUPTED)
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _UNWRITABLE:
            raise
        logging.getLogger("engine").debug("What failed:", exc_info=True)
        text = f"Unexpected failure ({type(error).__name__}): please report it, with the output of --verbose."
        say(text)
        return _failed(options, error, text, Exit.INTERNAL)


def _failed(options: Options, error: BaseException, text: str, code: int) -> int:
    if options.json:
        document(failure(error, text))
    return code


@contextlib.contextmanager
def _logging_restored() -> Iterator[None]:
    """Undo what --verbose changed: the caller of `main` may go on running."""
    logger = logging.getLogger("engine")
    handlers, level = list(logger.handlers), logger.level
    try:
        yield
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)


@contextlib.contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Let SIGTERM, which service managers send, end a command as Ctrl-C does, with nothing left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _forget_stdout() -> None:
    """Redirect stdout, which cannot be written any more: the interpreter would report it when it flushes at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
