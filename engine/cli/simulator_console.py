"""What can be typed while `simulate` runs: faults and events, so that an outage is rehearsed without a program."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from engine.cli.fault_words import WORDS, described, fault_of
from engine.cli.output import say
from engine.errors import ConfigError
from engine.simulator import Simulator, StreamFault

HELP = (
    """\
fault FAULT                 from now on, calls meet this fault (see below)
outage                      no connection is accepted, and those that are open are cut
push WORD [ACCOUNT]         a fault of the WebSocket: mute, pong-only, no-snapshot, stale-token, gap, repeat, reorder,
                            unnumbered, unknown-type, half, binary; or a number: 1001 closes, 403 refuses upgrades;
                            with "public" as ACCOUNT it strikes the connections for prices
lag ACCOUNT SECONDS         its balances and lists tell what was so long ago; the WebSocket tells what is
clear                       no fault and no outage any more
price PAIR BID ASK          such as: price XBTUSD 58990 59000
balance ACCOUNT ASSET=AMOUNT ...
                            set what the account has, such as: balance ALICE ZUSD=500 XXBT=1
fill ACCOUNT TXID VOLUME    a part of an open order trades
orders ACCOUNT              the account's open orders
mode WORD                   the market's mode: online, maintenance, cancel_only, post_only, limit_only
revoke ACCOUNT              its key is refused;  restore ACCOUNT  takes that back
nonce ACCOUNT N             the key has seen nonces up to N
calls                       how many calls came, and how many nonces were refused
help                        this
quit                        end

"""
    + WORDS
)


class SimulatorConsole:
    """Carries out lines that a person types; each answers with a text."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self.is_over = False
        """Whether a person has asked for the end, which comes once the answer is written."""
        self._verbs: dict[str, tuple[int, Callable[..., str]]] = {
            "outage": (0, self._outage), "clear": (0, self._clear), "price": (3, self._price),
            "fill": (3, self._fill), "orders": (1, self._orders), "mode": (1, self._mode), "nonce": (2, self._nonce),
            "lag": (2, self._lag), "revoke": (1, self._revoke), "restore": (1, self._restore),
            "calls": (0, self._calls), "quit": (0, self._quit), "help": (0, HELP.rstrip),
        }  # fmt: skip

    def do(self, line: str) -> str:
        """Carry out one line; what to say about it."""
        verb, *words = line.split()
        try:
            if verb == "fault":
                names = [account.name for account in self._simulator.accounts]
                return f"Fault: {described(self._simulator.fault(fault_of(line.partition(verb)[2], names)).fault)}."
            if verb == "push":
                return self._push(words)
            if verb == "balance":
                return self._balance(words)
            number, do = self._verbs[verb]
            if len(words) != number:
                return f"{verb} takes {number} words: type help."
            return do(*words)
        except ConfigError as error:
            return str(error)
        except KeyError as error:
            return f"{error.args[0]!r} is not known: type help."
        except (ValueError, ArithmeticError, LookupError) as error:
            return f"That cannot be done: {error}."

    def _outage(self) -> str:
        self._simulator.fail_new_connections()
        self._simulator.drop_connections()
        return "No connection is accepted: type clear to end it."

    def _clear(self) -> str:
        self._simulator.clear_faults()
        self._simulator.fail_new_connections(False)
        self._simulator.streams.state.clear()
        return "All is well again."

    def _price(self, pair: str, bid: str, ask: str) -> str:
        self._simulator.set_price(pair, bid, ask)
        return f"{pair}: {bid} / {ask}"

    def _push(self, words: Sequence[str]) -> str:
        if not 1 <= len(words) <= 2:
            return "push takes a word and perhaps an account: type help."
        word, account = words[0], words[1] if len(words) == 2 else None
        streams = self._simulator.streams
        if word.isdecimal() and int(word) >= 1000:
            return f"{streams.close(int(word), account)} sockets are closed with {word}."
        if word.isdecimal():
            streams.state.refused = int(word)
            return f"Upgrades are refused with HTTP {word}: type clear to end it."
        streams.state.add(StreamFault(word.replace("-", " ")), account)
        return f"Fault of the WebSocket: {word}."

    def _lag(self, account: str, seconds: str) -> str:
        self._simulator.set_rest_lag(account, float(seconds))
        return f"REST tells {account} what was {float(seconds):g} s ago."

    def _balance(self, words: Sequence[str]) -> str:
        if len(words) < 2 or not all("=" in word for word in words[1:]):
            return "balance takes an account and ASSET=AMOUNT: type help."
        rows = dict(word.split("=", 1) for word in words[1:])
        self._simulator.set_balance(words[0], rows)
        return f"{words[0]} has {', '.join(f'{amount} {asset}' for asset, amount in rows.items())}"

    def _fill(self, account: str, txid: str, volume: str) -> str:
        self._simulator.fill(account, txid, volume)
        return f"{volume} of {txid} traded"

    def _orders(self, account: str) -> str:
        rows = [each for each in self._simulator.orders(account) if each["status"] == "open"]
        return "\n".join(f"{each['txid']}  {each['descr']['order']}" for each in rows) or "None is open."

    def _mode(self, word: str) -> str:
        self._simulator.set_status(word)
        return f"The market is in mode {word}."

    def _nonce(self, account: str, nonce: str) -> str:
        self._simulator.set_nonce(account, int(nonce))
        return f"The key of {account} has seen nonces up to {int(nonce)}."

    def _revoke(self, account: str) -> str:
        self._simulator.revoke(account)
        return f"The key of {account} is refused."

    def _restore(self, account: str) -> str:
        self._simulator.restore(account)
        return f"The key of {account} is accepted."

    def _calls(self) -> str:
        seen = self._simulator
        return f"{len(seen.calls)} calls are remembered; {seen.refused_nonces} nonces were refused."

    def _quit(self) -> str:
        self.is_over = True
        return "The simulator ends."

    def end(self) -> None:
        """End the simulator, and with it the program."""
        self._simulator.close()


def read_lines(console: SimulatorConsole) -> None:
    """Carry out the lines of stdin until it ends, in a thread of its own."""
    if sys.stdin is None:
        return
    with contextlib.suppress(ValueError, OSError):  # in the background a terminal is not read, instead of stopping it
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    threading.Thread(target=_read, args=(console,), name="simulator console", daemon=True).start()


def _read(console: SimulatorConsole) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal went away
        while not console.is_over and (line := sys.stdin.readline()):
            if line.strip():
                say(console.do(line))
    if console.is_over:
        console.end()
