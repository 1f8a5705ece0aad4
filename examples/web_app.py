"""A web application whose workers share one engine; no request blocks a worker's event loop. FastAPI does it alike.

Beside ``kraken-engine serve --live``: ``uvicorn web_app:app --workers 4``. As a program it tries the simulator.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from socket import create_server
from urllib.request import urlopen

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from engine import Engine, Order, Settings
from engine.simulator import Simulator


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Each worker has a client of its own, by the state directory of KRAKEN_ENGINE_STATE."""
    with Engine.connect() as engine:
        app.state.engine = engine.aio
        yield


async def place(request: Request) -> JSONResponse:
    """POST /orders/ID with an order: sent twice, also to two workers, it is placed once."""
    order, name = Order.from_dict(await request.json()), request.path_params["id"]
    return JSONResponse((await request.app.state.engine.place("MASTER", order, id=name)).to_dict())


app = Starlette(routes=[Route("/orders/{id}", place, methods=["POST"])], lifespan=lifespan)


def main() -> None:
    """Two workers, and eight requests for the same order."""
    order = json.dumps({"pair": "XBTUSD", "side": "buy", "type": "limit", "volume": "0.001", "price": "20000"}).encode()
    with Simulator() as kraken, tempfile.TemporaryDirectory() as state, create_server(("127.0.0.1", 0)) as listener:
        engine = Engine(kraken.accounts, url=kraken.url, state_dir=state, settings=Settings(tier="pro"), live=True)
        os.environ["KRAKEN_ENGINE_STATE"] = state
        with engine, engine.serve(port=0):
            command = f"-B -m uvicorn web_app:app --workers 2 --log-level warning --fd {listener.fileno()} --app-dir"
            with subprocess.Popen(
                [sys.executable, *command.split(), Path(__file__).parent], pass_fds=[listener.fileno()]
            ) as workers:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/orders/signal-42"
                told = [urlopen(url, order).read() for _ in range(8)]
                workers.terminate()
        print(f"{len(set(told))} receipt for {len(told)} requests, {len(kraken.placements('MASTER'))} order")


if __name__ == "__main__":
    main()
