"""Other nodes of the cluster, asked with the token that all nodes share. Each question goes to a node once."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from engine.actors.lane.messages import CallDone, PrivateCall
from engine.actors.lane.queued_call import FutureReply
from engine.app.one_type import foreseen
from engine.app.remote.questions import Questions
from engine.app.remote.remote_engine import RemoteEngine
from engine.app.status import EngineStatus
from engine.errors import CallError, CallUnknown, ConfigError, ConnectFailed, DeadlinePassed, EngineError
from engine.rules.balance.history import YEAR, BalanceMark, BalancePoint
from engine.rules.order.order import Order
from engine.rules.order.placement import Placement
from engine.transport.address import check_node_url
from engine.transport.resolver import Resolver
from engine.transport.tls import tls_context
from engine.values import Secret

SHORTEST_TOKEN = 32  # characters

_ABSENT = (
    "Node {owner} cannot be reached at {url}, so nothing was sent. When another node has taken its lane over, or it is "
    "back, calls go again."
)
_LOST = "Node {owner} gave no answer: look up what became of {what}."


class NodePlace:
    """The address of another node."""

    repeats, is_direct = False, False

    def __init__(self, owner: str, url: str, token: Secret, context: ssl.SSLContext, *, plain: bool) -> None:
        self.owner, self.url = owner, url
        self._base = check_node_url(url, plain=plain)
        self._token, self._context = token, context
        self._resolver = Resolver()

    @property
    def name(self) -> str:
        """The node, in words."""
        return f"Node {self.owner} at {self.url}"

    @property
    def host(self) -> str:
        """The ``Host`` of a request."""
        return self._base.netloc

    @property
    def headers(self) -> Mapping[str, str]:
        """The token of the cluster."""
        return {"Authorization": f"Bearer {self._token.reveal()}"}

    def connected(self, within: float) -> socket.socket:
        """A connection, over TLS where the URL says so, to a server whose certificate fits. Raises `OSError`."""
        deadline = time.monotonic() + within
        host, port = self._base.host, self._base.port
        for address in self._resolver.addresses(host, port, partial(_left, deadline)):
            made = socket.socket(address.family, socket.SOCK_STREAM)
            try:
                made.settimeout(_left(deadline))
                made.connect(address.sockaddr)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._context.wrap_socket(made, server_hostname=host) if self._base.is_tls else made
            except OSError as error:
                made.close()
                failure = error
        raise failure

    def absent(self, *, was_there: bool) -> EngineError:
        """Nothing was sent."""
        return ConnectFailed(_ABSENT.format(owner=self.owner, url=self.url))


class PeerEngine(RemoteEngine):
    """The accounts that another node serves, as an engine. Thread-safe.

    What is asked goes out once. Without a connection it raises `ConnectFailed`, and nothing was sent; when the answer
    is lost it ends as `CallUnknown`, a placement as `OrderUnknown`, and is not asked again, here or there: the other
    node passes nothing on, and raises `LaneElsewhere` for an account that it does not serve.
    """

    def __init__(self, place: NodePlace, call_timeout: float) -> None:
        self._place = place
        self._ask_at(Questions(place, call_timeout))

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("the way to another node cannot be pickled: it has the cluster's token")

    def status_within(self, seconds: float) -> EngineStatus:
        """`Engine.status` of what that node serves. Raises `EngineError` when it does not say so in time."""
        found: EngineStatus = self._questions.ask("status", seconds, again=False, is_timed=False)
        return found

    def submit_to(
        self, reply: FutureReply, account: str, endpoint: str, params: Mapping[str, Any] | None,
        timeout: float | None, endpoint_class: str | None = None,
    ) -> None:  # fmt: skip
        """`Engine.submit_to`. The call counts as under way from now on: the future cannot be cancelled any more."""
        call = PrivateCall(account, endpoint, params or {}, timeout, endpoint_class=endpoint_class)
        deadline = time.monotonic() + self._questions.seconds(timeout)
        if reply.claim():
            try:
                self._threads.start(partial(self._attempt, reply, call, deadline))
            except CallError as error:
                reply.future.set_exception(error)

    def place_for(
        self, client: str, client_id: str | None, account: str, order: Order, timeout: float
    ) -> Placement:
        """`Engine.place_for`."""
        row: Placement = self._questions.ask(
            "place_for", timeout, self._lost("the order", account, "AddOrder"), again=False, client=client,
            client_id=client_id, account=account, order=order,
        )  # fmt: skip
        return row

    def place_batch_for(
        self, client: str, asked: Sequence[tuple[Order, str | None]], account: str, timeout: float
    ) -> list[Placement | CallError]:
        """`Engine.place_batch_for`."""
        lost = self._lost("the orders", account, "AddOrderBatch")
        rows: list[Placement | CallError] = self._questions.ask(
            "place_batch_for", timeout, lost, again=False, client=client, asked=list(asked), account=account
        )
        return rows

    def placements(self, account: str, names: Mapping[str, str | None]) -> Mapping[str, Placement]:
        """`Engine.placements`."""
        found: Mapping[str, Placement] = self._questions.at_once("placements", account=account, names=dict(names))
        return found

    def placements_of(
        self, account: str, client: str | None, param: str, value: str | int, *, is_open: bool
    ) -> list[Placement]:
        """`Engine.placements_of`."""
        found: list[Placement] = self._questions.at_once(
            "placements_of", account=account, client=client, param=param, value=value, is_open=is_open
        )
        return found

    def pause_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.pause_trading`."""
        self._told("pause_trading", "the pause", account, timeout)

    def resume_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.resume_trading`."""
        self._told("resume_trading", "the end of the pause", account, timeout)

    def arm(self, account: str, seconds: int = 60, timeout: float | None = None) -> None:
        """`Engine.arm`."""
        self._told("arm", "the dead man's switch", account, timeout, seconds=seconds)

    def disarm(self, account: str, timeout: float | None = None) -> None:
        """`Engine.disarm`."""
        self._told("disarm", "the dead man's switch", account, timeout)

    def history(self, account: str, days: float = YEAR) -> tuple[BalancePoint, ...]:
        """`Engine.history`."""
        points: tuple[BalancePoint, ...] = self._questions.at_once("history", account=account, days=days)
        return points

    def history_marks(self, account: str) -> tuple[BalanceMark, ...]:
        """`Engine.history_marks`."""
        marks: tuple[BalanceMark, ...] = self._questions.at_once("history_marks", account=account)
        return marks

    def _told(self, question: str, what: str, account: str, timeout: float | None, **asked: Any) -> None:
        lost = self._lost(what, account, None)
        self._questions.ask(question, timeout, lost, again=False, account=account, **asked)

    def _attempt(self, reply: FutureReply, call: PrivateCall, deadline: float) -> None:
        """One attempt there, waited for; run in a thread."""
        lost = self._lost(call.endpoint, call.account, call.endpoint)
        try:
            result, warnings = self._questions.ask(
                "attempt", _left(deadline), lost, again=False, account=call.account, endpoint=call.endpoint,
                params=call.params, endpoint_class=call.endpoint_class,
            )  # fmt: skip
        except EngineError as error:
            reply.future.set_exception(error)
        except TimeoutError:  # no thread was free for it
            reply.future.set_exception(DeadlinePassed("The call was not sent in time."))
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            reply.future.set_exception(foreseen(error, may_have_acted=True, what=call.endpoint))
        else:
            reply.tell(CallDone(call, result, tuple(warnings)))

    def _lost(self, what: str, account: str, endpoint: str | None) -> CallUnknown:
        return CallUnknown(_LOST.format(owner=self._place.owner, what=what), account=account, endpoint=endpoint)


class Peers:
    """The other nodes, by their addresses. Any thread.

    `token` is the same at all nodes. `ca_file` is what their certificates are verified by (`None`: the usual ones);
    `plain` sends the token over http as well, where a proxy or the network itself encrypts. Raises `ConfigError`.
    """

    def __init__(
        self, token: Secret, call_timeout: float, *, ca_file: str | None = None, plain: bool = False
    ) -> None:
        check_token(token)
        self._token, self._call_timeout, self._plain = token, call_timeout, plain
        self._context = tls_context(ca_file)
        self._known: dict[tuple[str, str], PeerEngine] = {}

    def at(self, owner: str, url: str) -> PeerEngine:
        """The node of that name, at its URL. Raises `ConfigError` for a URL that gets no token."""
        known = self._known.get((owner, url))
        if known is None:
            place = NodePlace(owner, url, self._token, self._context, plain=self._plain)
            known = self._known.setdefault((owner, url), PeerEngine(place, self._call_timeout))
        return known

    def close(self) -> None:
        """End the connections."""
        for each in self._known.values():
            each.close()


def check_token(token: Secret) -> None:
    """Raise `ConfigError` for a token that could be guessed."""
    if len(token.reveal()) < SHORTEST_TOKEN:
        raise ConfigError(f"The cluster's token is shorter than {SHORTEST_TOKEN} characters: make a long random one, "
                          "such as with openssl rand -hex 32, and give it to every node.")  # fmt: skip


def _left(deadline: float) -> float:
    """Seconds until then. Raises `TimeoutError` when it is past."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
