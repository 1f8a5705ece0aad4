"""A node as Ray runs it: in a process of its own, which begins again by itself for as long as it is wanted."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine import config
from engine.alerts import Alerts, AlertSettings
from engine.app.service import Service
from engine.cli.options import Options
from engine.cli.serve_node import node_subject
from engine.cluster.node import STOP_PATIENCE
from engine.errors import ConfigError, EngineError
from engine.rules.backoff import Backoff
from engine.values import Secret
from engine.web import embedded
from engine.web.options import WebOptions
from engine.web.subject import Subject

AGAIN = Backoff(first=0.5, longest=15.0)
TOKEN = "KRAKEN_ENGINE_TOKEN"  # noqa: S105 - the name of a variable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listen:
    """Where the service of a node listens, as the options of ``kraken-engine serve`` of the same names say it.

    Files are files of the machine where the node runs. Without a `token_file` the token is ``KRAKEN_ENGINE_TOKEN``.
    """

    host: str = "127.0.0.1"
    port: int = 8710
    allow_host: tuple[str, ...] = ()
    token_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    plain_http: bool = False

    def options(self) -> WebOptions:
        """The same for the service, on this machine. Raises `ConfigError`."""
        return WebOptions(
            host=self.host, port=self.port, names=self.allow_host, token=self._token(), plain=self.plain_http,
            certificate=_path(self.tls_cert), key=_path(self.tls_key),
        )  # fmt: skip

    def _token(self) -> Secret | None:
        file = _path(self.token_file)
        text = os.environ.get(TOKEN, "").strip() if file is None else config.read_secret(file, "token_file")
        return Secret(text) if text else None


class NodeActor:
    """One node with its service in this process, from the configuration of this machine. Any thread.

    `config_file` is a file of this machine, read as ``kraken-engine serve --cluster`` reads it, after the environment
    of this process, which is that of the machine's Ray. Nobody sends a key here, or the password of a database. `name`
    is the node's, whatever the file says.

    The constructor raises nothing, because Ray gives up an actor for good whose constructor raises. What prevents the
    node from starting is told by `status`, and it is tried again, with the configuration read anew.
    """

    def __init__(
        self, name: str, config_file: str | None = None, live: bool = False, listen: Listen | None = None
    ) -> None:
        self._start = partial(_started, name, _path(config_file), live, listen or Listen())
        self._running: _Running | None = None
        self._trouble: EngineError | None = None
        self._tried, self._is_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="kraken-engine node actor", daemon=True)
        self._thread.start()

    def status(self) -> dict[str, Any]:
        """What it does, JSON-ready.

        Its `pid` and `machine`; the `url` of its service and the state of its `node`, `None` until it has started; and
        its `trouble`, `None` when it has.
        """
        running, trouble = self._running, self._trouble
        return {
            "pid": os.getpid(), "machine": platform.node(), "trouble": None if trouble is None else str(trouble),
            "url": None if running is None else running.service.url,
            "node": None if running is None else running.status(),
        }  # fmt: skip

    def tried(self) -> str | None:
        """Wait until the first start has ended; what is wrong with the configuration, when that is why it failed."""
        self._tried.wait()
        trouble = self._trouble
        return str(trouble) if isinstance(trouble, ConfigError) else None

    def stop(self, timeout: float = STOP_PATIENCE) -> None:
        """Hand every lane over in order, leave the cluster, and start no more."""
        self._is_over.set()
        self._thread.join()
        if self._running is not None:
            self._running.stop(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._is_over.is_set() and not self._starts():
            self._is_over.wait(AGAIN.pause(failures))
            failures += 1

    def _starts(self) -> bool:
        try:
            self._running = self._start()
            self._trouble = None
        except EngineError as error:
            logger.warning("The node does not start, and tries again: %s", error)
            self._trouble = error
        except Exception as error:
            logger.exception("The node does not start, and tries again.")
            self._trouble = EngineError(f"The node does not start ({type(error).__name__}); its log has more.")
        self._tried.set()
        return self._trouble is None


@dataclass(frozen=True)
class _Running:
    """A node that runs, with its service and its alerts."""

    subject: Subject
    service: Service
    alerts: contextlib.ExitStack

    def status(self) -> dict[str, Any]:
        assert self.subject.cluster is not None
        return self.subject.cluster.status().to_dict()

    def stop(self, timeout: float) -> None:
        self.service.stop_accepting()
        self.subject.engine.stop(timeout)
        self.service.stop()
        self.alerts.close()


def _started(name: str, config_file: Path | None, live: bool, listen: Listen) -> _Running:
    """The node of this name that this machine's configuration describes. Nothing is left when it raises."""
    found = config.load(file=config_file, node=name)
    shown = listen.options()
    subject = node_subject(Options(live=live), found, shown)
    with contextlib.ExitStack() as undo:
        if found.alerts is not None:
            alerts = Alerts(subject.engine, AlertSettings.read(found.alerts))
            undo.callback(alerts.stop)
            alerts.start()
        with contextlib.ExitStack() as failed:
            failed.callback(subject.engine.stop)
            service = embedded.served(subject, shown)
            failed.pop_all()
        return _Running(subject, service, undo.pop_all())


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
