"""Whether memory, descriptors and threads grow with the number of tasks: short tasks, one after the other, as fast as it goes.

In each mode a process records its tasks (a task, a step, a log line: three items) and looks at itself 50 times. What it has more
than after its first 2,000 tasks is growth. Where the collector was away it comes back at the end: the same process must send what
waits in the folders, and the receiver must have everything, once for each id.

    python -m benchmarks.soak                          100,000 tasks in each mode: hours
    python -m benchmarks.soak --tasks 20000 --modes away "slow disk"

there       the collector takes everything
away        nobody listens
flapping    three seconds it takes everything, three it answers 503
black hole  it takes requests, and never answers
slow disk   each fsync, fdatasync and syncfs takes 30 ms; no collector
group       the same with durability "group"
retention   the collector is there, and each 2,000 tasks those that were delivered are removed

Folders are in /dev/shm where there is one: 100,000 of them are 800,000 inodes.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.ports import LOOPBACK, free_ports

MODES = ("there", "away", "flapping", "black hole", "slow disk", "group", "retention")
WARM_TASKS = 2_000
"""Tasks after which nothing may grow any more."""

WARM_EVERY = 100
"""How often is looked until then: what is in hand differs from moment to moment, and one of them is no peak."""

FLAT_MB = 16.0
"""Growth of resident memory that counts as none, in MB."""

FLAT_COUNT = 8
"""The same of descriptors and of threads: a few come and go with the request and the folder that are at hand."""

FLAT_OBJECTS = 1_000
"""The same of objects of our classes, counted when the worker is at rest; one a task would be 2,000 in the shortest run.

What the worker has in hand depends on the machine: it says nothing about growth."""

WAITING_CLASSES = ("Encoded", "Item", "ItemRef", "ItemSet")
"""What an item that waits for the collector is made of; the queue bounds their number. Left out while something waits."""

GROWING = {"rss_mb": 1, "objects": 0, "fds": 0, "threads": 0}
"""What must not grow, with the digits it is printed with."""

SAMPLES = 50
REST_S = 10.0
"""Seconds that the worker may take for what it has to do, before objects are counted; in a black hole it needs them all."""

FSYNC_S = 0.03
FLAP_S = 3.0


# -- the process that records ---------------------------------------------------------------------------------------------


def own_objects(*, but: tuple[str, ...] = ()) -> int:
    """How many objects of our classes but these are in use; what waits for the garbage collector, memory too, is in ``rss_mb``.

    References to what this very collection freed are forgotten with the next task.
    """
    from otel_agentlog._interrupts import KeyedReference

    gc.collect()
    before = sys.getswitchinterval()
    # No other thread may go on while we hold what it is just making: CPython then fails in it with a SystemError.
    sys.setswitchinterval(60.0)
    try:
        found = [
            each
            for each in gc.get_objects()
            if type(each).__module__.startswith("otel_agentlog.") and type(each).__name__ not in but
        ]
        return sum(not isinstance(each, KeyedReference) or each() is not None for each in found)
    finally:
        sys.setswitchinterval(before)


def look(done: int, *, objects: bool = False) -> dict[str, float]:
    """What this process takes at the moment, at work: descriptors are looked at before anything comes to rest.

    ``objects`` are counted now and then only: the worker gets time to finish what it can, and the garbage collector runs.
    """
    counted: dict[str, float] = {}
    fds = len(os.listdir("/proc/self/fd"))
    if objects:
        import otel_agentlog as agentlog

        waits = agentlog.flush(REST_S).pending
        counted["objects"] = own_objects(but=WAITING_CLASSES if waits else ())
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "tasks": done,
        "rss_mb": int(status["VmRSS"].split()[0]) / 1e3,
        **counted,
        "fds": fds,
        "threads": int(status["Threads"]),
    }


def slow_down_disk() -> None:
    """Make each sync of this process take as long as on a slow disk."""
    import otel_agentlog._platform as system

    def slow(real: Any) -> Any:
        def call(target: Any) -> None:
            time.sleep(FSYNC_S)
            real(target)

        return call

    os.fsync = slow(os.fsync)
    for name in ("sync", "sync_folder", "sync_file_system"):
        setattr(system, name, slow(getattr(system, name)))


def clear_away(root: Path) -> None:
    """Remove all but the newest tasks, as retention would tomorrow: it leaves alone what was written a moment ago."""
    from otel_agentlog.store.retention.policy import RetentionLimits
    from otel_agentlog.store.retention.prune import prune

    prune(root, RetentionLimits(max_tasks=500, delivers=True), now_ns=time.time_ns() + 86_400 * 1_000_000_000)


def app(root: Path, tasks: int, mode: str, endpoint: str) -> None:
    """Record that many tasks; says on each line of its output what it takes, at last what became of the items."""
    import otel_agentlog as agentlog

    if mode in ("slow disk", "group"):
        slow_down_disk()
    settings: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if mode == "group":
        settings["durability"] = "group"
    agentlog.configure(directory=root, log_directory=root.parent / "logs", console="off", capture_logging=False, **settings)
    log = agentlog.get_logger("soak")
    every = max(1, tasks // SAMPLES)
    for number in range(1, tasks + 1):
        with agentlog.task("short", task_id=f"task-{number:07}"), agentlog.step("work"):
            log.info("at work", number=number)
        if number % every == 0 or (number <= WARM_TASKS and number % WARM_EVERY == 0):
            print(json.dumps(look(number, objects=number in (WARM_TASKS, tasks))), flush=True)
        if mode == "retention" and number % (WARM_TASKS // 2) == 0:
            agentlog.flush(30)
            clear_away(root)
    print(json.dumps({"recorded": tasks}), flush=True)
    # The collector is back: what waits is sent.
    sys.stdin.readline()
    deadline = time.monotonic() + 60 + tasks / 50
    while (receipt := agentlog.flush(5)).pending and endpoint and time.monotonic() < deadline:
        print(json.dumps(look(tasks)), flush=True)
    print(
        json.dumps(
            {**look(tasks, objects=True), "pending": receipt.pending, "dropped": receipt.dropped, "items": receipt.recorded}
        ),
        flush=True,
    )


# -- the collector --------------------------------------------------------------------------------------------------------


class Receiver:
    """Takes spans and log records on a port, counts them by id, and can be told to misbehave."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.behaviour = "fine"
        """``fine``, ``503`` or ``black hole``."""
        self.seen: Counter[bytes] = Counter()
        self._server: ThreadingHTTPServer | None = None
        self._hung: list[threading.Event] = []

    def open(self) -> None:
        """Listen."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.answer(self, self.path, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, path: str, body: bytes) -> None:
        """Answer one request."""
        if self.behaviour == "black hole":
            over = threading.Event()
            self._hung.append(over)
            over.wait()
            request.close_connection = True
            return
        fine = self.behaviour == "fine"
        if fine:
            self._count(path, _inflated(request, body))
        request.send_response(200 if fine else 503)
        request.send_header("content-length", "0")
        request.end_headers()

    def _count(self, path: str, body: bytes) -> None:
        if path.endswith("/v1/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.seen.update(span.span_id for span in scope.spans)
        elif path.endswith("/v1/logs"):
            for each in ExportLogsServiceRequest.FromString(body).resource_logs:
                for scoped in each.scope_logs:
                    self.seen.update(record.span_id + b"log" for record in scoped.log_records)

    def be_fine(self) -> None:
        """Take everything from now on."""
        self.behaviour = "fine"
        if self._server is None:
            self.open()
        for over in self._hung:
            over.set()

    def close(self) -> None:
        """End it."""
        self.behaviour = "503"
        for over in self._hung:
            over.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _inflated(request: BaseHTTPRequestHandler, body: bytes) -> bytes:
    if request.headers.get("content-encoding") == "gzip":
        import gzip

        return gzip.decompress(body)
    return body


@contextmanager
def misbehaving(receiver: Receiver, mode: str) -> Iterator[threading.Event]:
    """The collector as the mode wants it, until the event is set."""
    over = threading.Event()
    if mode != "away":
        receiver.open()
    if mode == "black hole":
        receiver.behaviour = "black hole"

    def flap() -> None:
        while not over.wait(FLAP_S):
            receiver.behaviour = "503" if receiver.behaviour == "fine" else "fine"

    thread = threading.Thread(target=flap, daemon=True)
    if mode == "flapping":
        thread.start()
    try:
        yield over
    finally:
        over.set()
        receiver.close()


# -- figures --------------------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What one mode came to."""

    mode: str
    samples: list[dict[str, float]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    missing: int = 0
    """Items that the receiver has not in the end."""
    twice: int = 0
    seconds: float = 0.0
    exit_code: int = 0

    def growth(self, key: str) -> float:
        """How much more there ever was than within the first tasks.

        Peak against peak: what waits for the garbage collector makes a saw-tooth, in which one moment says nothing.
        """
        known = [each for each in self.samples if key in each]
        return max(each[key] for each in known) - max(each[key] for each in known if each["tasks"] <= WARM_TASKS)

    @property
    def passed(self) -> bool:
        """Whether nothing grew, and nothing is missing."""
        flat = self.growth("rss_mb") <= FLAT_MB and max(self.growth("fds"), self.growth("threads")) <= FLAT_COUNT
        flat = flat and self.growth("objects") <= FLAT_OBJECTS
        return flat and not (self.missing or self.exit_code or self.end["dropped"] or (self.sends and self.end["pending"]))

    @property
    def sends(self) -> bool:
        """Whether there is a collector, sometimes."""
        return self.mode not in ("slow disk", "group")


def run(mode: str, tasks: int, place: Path) -> Figures:
    """Run one mode."""
    figures, began = Figures(mode), time.monotonic()
    root, receiver = place / "tasks", Receiver(free_ports(1)[0])
    command = [sys.executable, "-m", "benchmarks.soak", "--app", str(root), "--tasks", str(tasks), "--modes", mode]
    command += ["--endpoint", f"http://{LOOPBACK}:{receiver.port}"] if figures.sends else []
    with (
        misbehaving(receiver, mode) as over,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            if "recorded" in said:
                over.set()
                if figures.sends:
                    receiver.be_fine()
                process.stdin.write("\n")
                process.stdin.flush()
            else:
                figures.samples.append(said)
        figures.exit_code = process.wait()
    figures.end = figures.samples[-1]
    if figures.sends:
        figures.missing = int(figures.end.get("items", 0)) - len(receiver.seen)
        figures.twice = sum(count - 1 for count in receiver.seen.values())
    figures.seconds = time.monotonic() - began
    return figures


def row(figures: Figures) -> str:
    """One line of the table."""
    warm = next((each for each in figures.samples if each["tasks"] >= WARM_TASKS), figures.samples[0])
    last = figures.samples[-1]
    grown = "".join(f"{figures.growth(key):>+9.{digits}f}" for key, digits in GROWING.items())
    counts = (figures.end["items"], figures.end["pending"], figures.missing, figures.twice)
    return (
        f"{figures.mode:<12}{last['tasks']:>8.0f}{warm['rss_mb']:>9.1f}{last['rss_mb']:>9.1f}{grown}"
        + "".join(f"{count:>9}" for count in counts)
        + f"{figures.seconds:>8.0f}  {'flat' if figures.passed else 'NOT AS PROMISED'}"
    )


def main() -> int:
    """Run the modes and print the table; 1 if something grew, or is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--app", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.app is not None:
        app(options.app, options.tasks, options.modes[0], options.endpoint)
        return 0
    memory = "/dev/shm"
    parent = memory if os.access(memory, os.W_OK) else None
    heads = ("MB warm", "MB end", "MB more", "objects", "fds", "threads", "items", "pending", "missing", "twice")
    print(f"{'mode':<12}{'tasks':>8}" + "".join(f"{head:>9}" for head in heads) + f"{'s':>8}", flush=True)
    good = True
    for mode in options.modes:
        place = Path(tempfile.mkdtemp(prefix="soak-", dir=parent))
        try:
            figures = run(mode, options.tasks, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        print(row(figures), flush=True)
        good = good and figures.passed
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
