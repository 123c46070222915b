"""All of a receiver together: what listens, what keeps, what forwards, and the process that files."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings.fields import Settings
from otel_agentlog.tools.collect.filing import KEEP_S, SETTLE_S, WAIT_S
from otel_agentlog.tools.collect.intake import Intake, MemoryBudget, Received
from otel_agentlog.tools.collect.spool import CollectSpool
from otel_agentlog.view.collect.answers import MAX_BODY_BYTES
from otel_agentlog.view.collect.filer import BUSY, FilerProcess
from otel_agentlog.view.collect.forwarding import Forwarding
from otel_agentlog.view.collect.http import HttpSide
from otel_agentlog.view.server.serving import url_of
from otel_agentlog.wiring.importing import part_cleaning

MAX_SPOOL_BYTES = 4 * 1024 * 1024 * 1024
"""Of what waits to be filed or forwarded; past it requests are sent away, to come again."""

BODIES_HELD = 4
"""Longest bodies that are held at a time."""

_CHECK_S = 1.0


@dataclass(frozen=True)
class Options:
    """How to receive."""

    host: str = "127.0.0.1"
    grpc_port: int | None = 4317
    """``None``: no gRPC; 0: any free one."""
    forward: str | None = None
    """URL of a further collector."""
    max_body_bytes: int = MAX_BODY_BYTES
    max_spool_bytes: int = MAX_SPOOL_BYTES
    settle_s: float = SETTLE_S
    wait_s: float = WAIT_S
    keep_s: float = KEEP_S


class Receiver:
    """Receives from its making to `stop`."""

    def __init__(
        self, root: Path, settings: Settings, listener: socket.socket, options: Options, say: Callable[[str], None]
    ) -> None:
        """``listener`` listens for http already; ``say`` gets messages for the user.

        Raises `ConfigurationError`, `OSError`.
        """
        self._say = say
        _refuse_itself(options, listener)
        self.forwarding = None if options.forward is None else Forwarding(root, options.forward, settings.connection_of, say)
        self.intake = Intake(
            root,
            part_cleaning(settings),
            forwards=self.forwarding is not None,
            max_spool_bytes=options.max_spool_bytes,
            forwarding=self.forwarding.wake if self.forwarding is not None else lambda: None,
        )
        if self.forwarding is not None:
            self.forwarding.start()
        else:
            _tell_waiting(root, say)
        budget = MemoryBudget(options.max_body_bytes * BODIES_HELD)
        self._grpc: Any = None
        if options.grpc_port is not None:
            # Here, because gRPC takes long to import.
            from otel_agentlog.view.collect.grpc_side import GrpcSide

            self._grpc = GrpcSide(self.intake, options.host, options.grpc_port, options.max_body_bytes, budget, say)
        self._filer = FilerProcess(root, options.settle_s, options.wait_s, options.keep_s, options.max_spool_bytes)
        self._http = HttpSide(self.intake, listener, options.max_body_bytes, budget, say)
        self._host = options.host
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._keep_filing, name="agentlog-collect-watch", daemon=True)
        self._watch.start()

    @property
    def url(self) -> str:
        """Where http is spoken."""
        return self._http.url

    @property
    def grpc_url(self) -> str | None:
        """Where gRPC is spoken."""
        return None if self._grpc is None else url_of(self._host, self._grpc.port)

    @property
    def counts(self) -> Received:
        """What has come."""
        return self.intake.counts

    def stop(self) -> dict[str, Any] | None:
        """Answer what is under way, take no more, file everything; what was filed, or ``None`` where that was cut short."""
        self._ended.set()
        self._http.stop()
        if self._grpc is not None:
            self._grpc.stop()
        self._watch.join()
        self.intake.close()
        if self.forwarding is not None:
            self.forwarding.stop()
        return self._filer.end()

    def _keep_filing(self) -> None:
        while not self._ended.wait(_CHECK_S):
            if self.forwarding is not None:
                # Other processes keep bodies, too, and cannot say so.
                self.forwarding.wake()
            if (code := self._filer.check()) == BUSY:
                self._say("another process files what is collected here; this one receives, and files as soon as that ends")
            elif code is not None:
                self._say(f"the process that files ended ({code}), and was started anew; nothing is lost")


def _tell_waiting(root: Path, say: Callable[[str], None]) -> None:
    """Say how many bodies an earlier process has left that are not sent now."""
    spool = CollectSpool(root)
    try:
        waiting = spool.outgoing_count()
    finally:
        spool.close()
    if waiting:
        bodies = "body waits" if waiting == 1 else "bodies wait"
        say(f"{waiting:,} {bodies} to be forwarded, of a start with --forward; only another one sends what waits")


def _refuse_itself(options: Options, listener: socket.socket) -> None:
    """Raises `ConfigurationError` where what is forwarded would come back."""
    if options.forward is None:
        return
    from urllib.parse import urlsplit

    parts = urlsplit(options.forward)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("forward", options.forward, "a URL such as http://collector:4318")
    here = listener.getsockname()
    if parts.port == here[1] and parts.hostname in ("localhost", "127.0.0.1", "::1", here[0]):
        raise ConfigurationError("forward", options.forward, "another collector than this one")
