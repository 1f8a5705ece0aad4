"""Programs that poll the balance of one account, each as fast as it is answered, at Kraken's own limits."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from engine.simulator import Rules, Simulator
from tests.served import served
from tests.web.gateway.asking import Asker


@pytest.mark.parametrize(
    ("tier", "seconds"),
    [("pro", 2.0), *(pytest.param(tier, 120.0, marks=pytest.mark.torture) for tier in ("pro", "starter"))],
)
def test_eight_pollers_are_never_refused_for_a_rate(tmp_path: Path, tier: str, seconds: float) -> None:
    settings = f'[settings]\ntier = "{tier}"\ncall_timeout = 20\n'
    with Simulator(rules=Rules(tier=tier)) as sim, served(sim, tmp_path, settings=settings) as service:
        pollers = [Asker(service, f"poller-{each}", "MASTER", "--read-only") for each in range(8)]
        ended: list[tuple[str, ...]] = []
        until = time.monotonic() + seconds

        def poll(poller: Asker) -> None:
            while True:
                ended.append(tuple(poller.call("BalanceEx").json["error"]))
                if time.monotonic() >= until:
                    return

        threads = [threading.Thread(target=poll, args=(each,)) for each in pollers]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(ended) >= len(pollers)
        assert {error for errors in ended for error in errors} == set()
        assert not [call.error for call in sim.calls if call.error]
        assert service.stop()[0] == 0
