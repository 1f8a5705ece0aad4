"""An engine killed with a real kill -9 and started again at once: no nonce is refused. Runs on the simulator.

For real Kraken there is nothing to change: the state directory remembers the nonces of every key.
"""

import json
import subprocess
import sys
import tempfile

from engine import CallError, Engine, Settings
from engine.simulator import Simulator

RESTARTS = 3


def child() -> None:
    """The process to be killed: calls as fast as it can."""
    told = json.loads(sys.stdin.readline())
    settings = Settings(local_limits=False)  # the simulator has no rate limits unless it is given some
    with Engine(told["accounts"], url=told["url"], state_dir=told["state_dir"], settings=settings) as engine:
        while not sys.stdout.closed:
            try:
                engine.call("MASTER", "TradeBalance", {"asset": "ZUSD"})
                print("one more", flush=True)  # ends the process when its parent has gone
            except CallError as error:
                print(error, file=sys.stderr)


def main() -> None:
    with Simulator(["MASTER"]) as kraken, tempfile.TemporaryDirectory() as directory:
        told = json.dumps({"accounts": kraken.accounts, "url": kraken.url, "state_dir": f"{directory}/state"})
        for turn in range(1, RESTARTS + 1):
            with subprocess.Popen(
                [sys.executable, __file__, "child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdin is not None  # both are pipes
                assert process.stdout is not None
                process.stdin.write(told + "\n")
                process.stdin.flush()
                for _ in range(5):
                    process.stdout.readline()
                process.kill()  # SIGKILL: no handler runs, nothing is saved
            print(f"kill {turn}: exit status {process.returncode}, highest nonce {kraken.nonce('MASTER')}")

        nonces = [call.nonce for call in kraken.calls if call.nonce is not None]
        print(f"{len(nonces)} calls over {RESTARTS} kills, {kraken.refused_nonces} nonces refused")
        assert kraken.refused_nonces == 0
        assert nonces == sorted(set(nonces)), "every nonce is higher than the one before"


if __name__ == "__main__":
    child() if sys.argv[1:] == ["child"] else main()
