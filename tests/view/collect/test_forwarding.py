"""What waits to be forwarded: on a disk that is full for a while, below a root of several receivers, or of none that forwards."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from otel_agentlog.settings.parsers import Connection
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.tools.collect.intake import JSON, PROTOBUF, Intake
from otel_agentlog.tools.collect.spool import CollectSpool
from otel_agentlog.view.collect.forwarding import Forwarding
from otel_agentlog.wiring.importing import part_cleaning
from tests.support.ports import LOOPBACK
from tests.support.receiving import RunningCollect, trace_body
from tests.support.waiting import wait_until
from tests.tools.collect.collecting import settings

SIGNALS = ("traces", "logs", "metrics")


def test_forwarding_goes_on_after_an_error_of_the_disk(tmp_path: Path) -> None:
    """It is reported once; as soon as the spool can be written to again, what waits is sent."""
    reported: list[str] = []
    spool = CollectSpool(tmp_path)
    database = sqlite3.connect(tmp_path / ".collect" / "spool.db", isolation_level=None)
    database.execute("CREATE TRIGGER full BEFORE DELETE ON outgoing BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    spool.keep([], [("traces", PROTOBUF, trace_body(1)), ("traces", PROTOBUF, trace_body(2))])
    with OtlpReceiver() as further:
        forwarding = Forwarding(tmp_path, further.http_endpoint, lambda signal: Connection(), reported.append)
        forwarding.start()
        try:
            wait_until(lambda: reported, "the error")
            database.execute("DROP TRIGGER full")
            wait_until(lambda: spool.next_outgoing() is None, "both bodies to be sent")
        finally:
            forwarding.stop()
            spool.close()
            database.close()
        assert {each["trace_id"] for each in further.spans()} == {f"{1:032x}", f"{2:032x}"}
    assert len(reported) == 1
    assert "disk is full" in reported[0]


@contextmanager
def _intake(root: Path) -> Iterator[Intake]:
    clean = part_cleaning(settings())
    found = Intake(root, clean, forwards=True, max_spool_bytes=1 << 30, forwarding=lambda: None)
    try:
        yield found
    finally:
        found.close()


def _waiting(root: Path) -> int:
    spool = CollectSpool(root)
    try:
        return spool.outgoing_count()
    finally:
        spool.close()


def test_bytes_are_forwarded_as_they_came(tmp_path: Path) -> None:
    """Of all three signals, in both forms, in their order: also what nothing here knows, and white space."""
    unknown = b"\xfa\x7f\x03new"
    made: list[tuple[str, str, bytes]] = [(signal, PROTOBUF, unknown) for signal in SIGNALS]
    made += [
        (signal, JSON, f'{{ "new": {number}.50,"resource{signal.title()}": [ ] }}\n'.encode())
        for number, signal in enumerate(SIGNALS)
    ]
    made.append(("traces", PROTOBUF, trace_body(1, note="sk-proj-" + "a1B2" * 10) + unknown))
    with _intake(tmp_path) as intake, _keeping_bytes() as (url, got):
        for signal, kind, body in made:
            intake.take(signal, kind, body)
        forwarding = Forwarding(tmp_path, url, settings().connection_of, print)
        forwarding.start()
        wait_until(lambda: not _waiting(tmp_path), "all bodies to be sent")
        forwarding.stop()
    assert got == [(f"/v1/{signal}", kind, body) for signal, kind, body in made]


@contextmanager
def _keeping_bytes() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """A server that keeps path, content type and bytes of what is posted."""
    got: list[tuple[str, str, bytes]] = []

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer((LOOPBACK, 0), Keep) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_address[1]}", got
        server.shutdown()


def test_of_two_receivers_one_forwards_and_the_other_goes_on(tmp_path: Path) -> None:
    """Each body arrives once."""
    said: list[str] = []
    with _intake(tmp_path) as intake, OtlpReceiver() as further:
        for number in range(1, 21):
            intake.take("traces", PROTOBUF, trace_body(number))
        first, second = (Forwarding(tmp_path, further.http_endpoint, settings().connection_of, said.append) for _ in range(2))
        first.start()
        wait_until(lambda: first.sent, "the first")
        second.start()
        wait_until(lambda: said, "the second to wait for its turn")
        wait_until(lambda: first.sent == 20 and not _waiting(tmp_path), "all bodies to be sent")
        assert (first.sent, second.sent, len(further.spans())) == (20, 0, 60)
        assert said == ["another process forwards what is collected here; this one goes on when that ends"]

        first.stop()
        intake.take("traces", PROTOBUF, trace_body(21))
        wait_until(lambda: second.sent and not _waiting(tmp_path), "the second to go on")
        second.stop()
        assert (first.sent, second.sent, len(further.spans())) == (20, 1, 63)


def test_one_that_waits_for_its_turn_ends_at_once(tmp_path: Path) -> None:
    """And leaves the rest to the one that forwards."""
    with _intake(tmp_path), OtlpReceiver() as further:
        first, second = (
            Forwarding(tmp_path, further.http_endpoint, settings().connection_of, lambda said: None) for _ in range(2)
        )
        first.start()
        second.start()
        second.stop()
        first.stop()
        assert [each.name for each in threading.enumerate() if each.name == "agentlog-collect-forwarding"] == []


def test_a_start_without_forwarding_tells_what_waits(tmp_path: Path) -> None:
    """As nobody else does."""
    with _intake(tmp_path / "tasks") as intake:
        intake.take("traces", PROTOBUF, trace_body(1))
    with RunningCollect(tmp_path) as running:
        assert "1 body waits to be forwarded" in running.log()
