"""Where the time of one call goes: its stages measured one by one, with everything on one CPU.

``python -m tests.benchmarks.stages URL COUNT`` prints the microseconds of each.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from engine import Account, Settings
from engine.actors.lane.limits import Limits
from engine.actors.lane.trusted_clock import TrustedClock
from engine.actors.runtime.actor import EngineActor
from engine.kraken.endpoints import call_class, private_endpoint
from engine.kraken.replies import read_reply
from engine.kraken.signing import Signer, encode
from engine.store import Store
from engine.store.nonces import file_nonces
from engine.transport import Transport
from engine.values import SYSTEM_CLOCK
from tests.benchmarks.calls import one_cpu
from tests.benchmarks.contestants import CONTESTANTS, ENDPOINT, ThisEngine
from tests.benchmarks.findings import Finding, Sizes, finding
from tests.benchmarks.server import ExchangeProcess
from tests.benchmarks.worker import SECRET, pin

WINDOWS = 15
LINK = "write, exchange, read: a raw socket"
WHOLE = "the whole call"
REST = "the rest: order, deadline, cut, claim, events"


def stages(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """Each stage of a call, and what is left of the whole."""
    exchange.pin(one_cpu())
    command = [sys.executable, "-m", __name__, exchange.url, str(sizes.calls)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    for what, taken in told.items():
        yield finding("where a call's time goes", what, "µs", [taken])


class _Echo(EngineActor):
    def on_receive(self, message: Any) -> Any:
        return message


def _measure(url: str, count: int) -> dict[str, float]:
    account, endpoint = Account("MASTER", "a key", SECRET), private_endpoint(ENDPOINT)
    clock, settings = TrustedClock(SYSTEM_CLOCK, warn=lambda code, sentence: None), Settings(local_limits=False)
    clock.learn(time.time())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-")))
        raw, whole = CONTESTANTS["raw socket"](url, "raw key", SECRET), ThisEngine(url, "whole key", SECRET)
        stack.callback(raw.close)
        stack.callback(whole.close)
        disk = stack.enter_context(ThreadPoolExecutor(1))
        nonces = file_nonces(folder, clock=clock, soon=disk.submit)
        stack.callback(nonces.close)
        kept = Store(folder / "limits.sqlite")
        limits = Limits(
            kept, {}, [account], settings=settings, live=False, clock=SYSTEM_CLOCK, publish=lambda event: None,
            soon=disk.submit,
        )  # fmt: skip
        stack.callback(limits.close)
        transport, signer, echo = Transport(url, settings), Signer(account.secret), _Echo.start()
        stack.callback(transport.close)
        stack.callback(echo.stop)
        stack.callback(disk.shutdown)

        def signed() -> tuple[bytes, dict[str, str]]:
            encoded = encode(endpoint, {})
            nonce = nonces.issue(account.key_id)
            body = encoded.with_nonce(nonce)
            sign = signer.sign(endpoint.path, body, nonce)
            return body, {"API-Key": "a key", "API-Sign": sign, "Content-Type": encoded.content_type}

        def posted() -> bytes:
            body, headers = signed()
            return transport.post(endpoint.path, body, headers, deadline=time.monotonic() + 10).body

        def limited() -> None:
            limits.check("MASTER", endpoint, call_class(endpoint, {}), {})
            limits.after("MASTER", endpoint, {}, None, result={})

        reply = posted()
        sign, post = _each(signed, count), _each(posted, count)
        link = _each(raw.call, count) - sign
        found = {
            LINK: link,
            "encode, durable nonce, signature": sign,
            "HTTP: a request written, its reply read and checked": post - sign - link,
            "strict JSON and the typed reply": _each(lambda: read_reply(200, reply, endpoint), count),
            "limits, before and after": _each(limited, count),
            "two thread switches: ask an actor and wait": _each(lambda: echo.ask(1), count),
        }
        call = _each(whole.call, count)
        return {**found, REST: call - sum(found.values()), WHOLE: call}


def _each(act: Callable[[], Any], count: int) -> float:
    """Microseconds: the median over some windows."""
    windows = []
    for _ in range(WINDOWS):
        began = time.perf_counter()
        for _ in range(count):
            act()
        windows.append((time.perf_counter() - began) / count)
    return 1e6 * statistics.median(windows)


def main(url: str, count: str) -> None:
    """Measure and print."""
    pin(one_cpu())
    print(json.dumps(_measure(url, int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
