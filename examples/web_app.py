"""A web application whose workers share one engine; no request blocks a worker's event loop. FastAPI does it alike.

Beside ``kraken-engine serve --live``: ``uvicorn web_app:app --workers 4``. As a program it tries itself without a key.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from socket import create_server
from subprocess import Popen
from urllib.request import urlopen

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from engine import Engine, Order
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
    with Simulator() as kraken, tempfile.TemporaryDirectory() as state, create_server(("127.0.0.1", 0)) as listener:
        workers = f"-B -m uvicorn web_app:app --workers 2 --log-level warning --fd {listener.fileno()}".split()
        order = {"pair": "XBTUSD", "side": "buy", "type": "limit", "volume": "0.001", "price": "20000"}
        with Engine(kraken.accounts, url=kraken.url, state_dir=state, live=True) as engine, engine.serve(port=0), Popen(
            [sys.executable, *workers, "--app-dir", sys.path[0]], pass_fds=[listener.fileno()],
            env={**os.environ, "KRAKEN_ENGINE_STATE": state},
        ) as process, contextlib.ExitStack() as ending:  # fmt: skip
            ending.callback(process.terminate)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/orders/signal-42"
            told = [urlopen(url, json.dumps(order).encode(), 100).read() for _ in range(8)]
        print(f"{len(set(told))} receipt for {len(told)} requests, {len(kraken.placements('MASTER'))} order")


if __name__ == "__main__":
    main()
