"""Whatever a collector does: the process ends in time, the receipt says what is true, and nothing is lost in the end."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from otel_agentlog.testing.otlp.answers import (
    Answer,
    Hang,
    HugeReply,
    Ok,
    PartialSuccess,
    Poison,
    Redirect,
    Refuse,
    Reset,
    SlowLoris,
)
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.view.cli import main as cli
from tests.support.delivered import receipts, received_ids, recorded_ids
from tests.support.forking import STRICT, Process
from tests.support.ports import LOOPBACK

APP = Path(__file__).parent / "delivery_app.py"
TASKS = 12
ITEMS = TASKS * 6
"""Each task: three spans, two log records, the record of an exception."""
TIMEOUT_S = 5.0
AT_ONCE = 8
SPARE_S = 3.0
"""For a machine that is busy; what is checked is that nothing waits for the collector much longer than it may."""


@dataclass(frozen=True)
class Fault:
    """How the collector behaves, and what the receipt must say after the first process."""

    answer: Answer = field(default_factory=Ok)
    protocol: str = "http/protobuf"
    reachable: bool = True
    delivered: int | None = 0
    """``None``: whatever the receiver ingested."""
    dropped: int = 0


def _is_tool(item: dict[str, object]) -> bool:
    return str(item.get("name", "")).startswith("execute_tool")


FAULTS = {
    "fine": Fault(delivered=ITEMS),
    "refused": Fault(reachable=False),
    "refused, grpc": Fault(reachable=False, protocol="grpc"),
    "no answer": Fault(Hang()),
    "no answer, grpc": Fault(Hang(), protocol="grpc"),
    "lost reply": Fault(Hang(ingest=True)),
    "reset": Fault(Reset()),
    "reset after it was taken": Fault(Reset(ingest=True)),
    "slow loris": Fault(SlowLoris(0.2, 10_000), delivered=ITEMS),
    "huge reply": Fault(HugeReply(), delivered=ITEMS),
    "redirect": Fault(Redirect("http://127.0.0.1:9{path}")),
    "400 to all": Fault(Refuse(400)),
    "401": Fault(Refuse(401)),
    "404": Fault(Refuse(404)),
    "408": Fault(Refuse(408)),
    "413 to all": Fault(Refuse(413)),
    "429, at once": Fault(Refuse(429, {"Retry-After": "0"})),
    "429, an hour": Fault(Refuse(429, {"Retry-After": "3600"})),
    "429, junk": Fault(Refuse(429, {"Retry-After": "\x00soon"})),
    "500": Fault(Refuse(500)),
    "503": Fault(Refuse(503)),
    "503, grpc": Fault(Refuse(503), protocol="grpc"),
    "partial success": Fault(PartialSuccess(3), delivered=None, dropped=3),
    "poison": Fault(Poison(_is_tool), delivered=ITEMS - TASKS, dropped=TASKS),
    "poison, grpc": Fault(Poison(_is_tool), protocol="grpc", delivered=ITEMS - TASKS, dropped=TASKS),
}


@dataclass
class Run:
    """One root, its receiver, and what the processes that recorded there did."""

    fault: Fault
    root: Path
    receiver: OtlpReceiver
    process: Process | None = None
    exit_s: float = 0.0
    first: dict[str, int] = field(default_factory=dict)
    ingested: int = 0

    @property
    def endpoint(self) -> str:
        """Where the collector is."""
        return self.receiver.grpc_endpoint if self.fault.protocol == "grpc" else self.receiver.http_endpoint

    def start(self, tasks: int) -> None:
        """Start a process that records and ends."""
        env = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.fault.protocol,
            "OTEL_METRICS_EXPORTER": "otlp",
            # Where something must arrive a busy machine has time for it.
            **({} if self.fault.delivered == 0 else {"AGENTLOG_SHUTDOWN_TIMEOUT": "30"}),
        }
        command = [APP, self.root, str(tasks)]
        self.process = STRICT.start(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait(self) -> None:
        """Wait for it, and note how long it took to end after its last word."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.readline()
        began = time.monotonic()
        _, errors = self.process.communicate(timeout=60)
        self.exit_s = time.monotonic() - began
        assert self.process.returncode == 0, errors.decode()
        self.first = receipts(self.root)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """All faults at once, as their processes mostly wait."""
    with ExitStack() as stack:
        made = {
            name: Run(fault, tmp_path_factory.mktemp("fault") / "tasks", stack.enter_context(OtlpReceiver()))
            for name, fault in FAULTS.items()
        }
        names = list(made)
        # A few at a time, or a small machine measures nothing but itself.
        for group in (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)):
            for name in group:
                made[name].receiver.answer = made[name].fault.answer
                if not made[name].fault.reachable:
                    made[name].receiver.refuse()
                made[name].start(TASKS)
            for name in group:
                made[name].wait()
                made[name].ingested = sum(received_ids(made[name].receiver).values())
        yield made


@pytest.fixture(scope="module")
def shipped(runs: dict[str, Run]) -> dict[str, int]:
    """Exit codes of ``agentlog ship`` for each, after the collector is well again."""
    codes = {}
    for name, run in runs.items():
        run.receiver.answer = Ok()
        run.receiver.accept()
        codes[name] = cli.main(["ship", "--root", str(run.root), "--endpoint", run.endpoint, "--protocol", run.fault.protocol])
    return codes


@pytest.mark.parametrize("name", FAULTS)
def test_the_process_ends_in_time(runs: dict[str, Run], name: str) -> None:
    """One budget for all signals together, whatever the collector does."""
    assert runs[name].exit_s < TIMEOUT_S + SPARE_S


@pytest.mark.parametrize("name", FAULTS)
def test_the_receipt_is_the_receivers_truth(runs: dict[str, Run], name: str) -> None:
    """Delivered, pending and dropped add up to what was recorded, and are what the receiver knows."""
    run = runs[name]
    said, fault = run.first, run.fault
    assert said["recorded"] == ITEMS
    assert said["recorded"] == said["delivered"] + said["pending"] + said["dropped"]
    assert said["delivered"] == (run.ingested if fault.delivered is None else fault.delivered)
    if fault.dropped and isinstance(fault.answer, PartialSuccess):
        # Each request lost three.
        assert said["dropped"] == ITEMS - run.ingested
    else:
        assert said["dropped"] == fault.dropped


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.dropped])
def test_afterwards_everything_is_there_once_per_id(runs: dict[str, Run], shipped: dict[str, int], name: str) -> None:
    """Shipping sends what the process could not, with the same ids; only lost replies come twice."""
    run = runs[name]
    got = received_ids(run.receiver)

    assert shipped[name] == 0
    assert set(got) == recorded_ids(run.root)
    assert receipts(run.root)["pending"] == 0
    lost_reply = isinstance(run.fault.answer, (Hang, Reset)) and run.fault.answer.ingest
    assert lost_reply or max(got.values()) == 1


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.dropped])
def test_what_was_rejected_is_not_sent_again(runs: dict[str, Run], shipped: dict[str, int], name: str) -> None:
    """Rejections stand in the ledger; shipping leaves them alone."""
    run = runs[name]
    assert shipped[name] == 0
    got, said = received_ids(run.receiver), receipts(run.root)

    assert max(got.values()) == 1
    assert said["pending"] == 0
    assert said["dropped"] == run.first["dropped"] > 0
    assert said["delivered"] == len(got)


def test_an_address_that_swallows_connections_does_not_hold_the_process(tmp_path: Path) -> None:
    """A full backlog: the system answers no further connection, as where packets are dropped."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        run = Run(Fault(), tmp_path / "tasks", stack.enter_context(OtlpReceiver()))
        endpoint = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OtlpReceiver, "http_endpoint", endpoint)
            run.start(TASKS)
        run.wait()

    assert run.exit_s < TIMEOUT_S + SPARE_S
    assert run.first["pending"] == run.first["recorded"] == ITEMS
