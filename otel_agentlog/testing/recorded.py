"""Records in a block as in a program, into a folder of the test and without the network, and reads what was recorded."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otel_agentlog.export.transport.outlet import MemoryOutlet
from otel_agentlog.record.collaborators import Clocks
from otel_agentlog.record.logs.console import ConsoleSink
from otel_agentlog.settings.fields import Settings, load
from otel_agentlog.store.folder.reader import list_tasks, read_lines
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.testing.clock import FixedClock
from otel_agentlog.testing.reading import RecordedTask
from otel_agentlog.vocabulary.envelope import Envelope, Sink
from otel_agentlog.vocabulary.lines import LOG, Line
from otel_agentlog.vocabulary.records import SpanRecord
from otel_agentlog.wiring import Receipt, configure, configure_again, flush, settings_given, surrounded
from otel_agentlog.wiring.setup import Surroundings

ACTIVE: list[Recorded] = []
"""Those whose block has not ended, the innermost last."""

MAX_PLACES = 20
"""Places of a text that a message has."""

FLUSH_S = 10.0
"""Longest time, in seconds, for what was recorded to be encoded; in memory it takes milliseconds."""


class Recorded:
    """What was recorded below a folder: in the folders of tasks, in OTLP and on the console. Reads anew each time it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tasks"
        """The folder with a folder for each task."""
        self.log_folder = folder / "logs"
        """The folder of the application log, which has the lines of no task."""
        self._outlet, self._console, self._disk = MemoryOutlet(), io.StringIO(), _Disk()

    def __repr__(self) -> str:
        return f"<Recorded: {', '.join(repr(task.name) for task in self.tasks) or 'no tasks'}>"

    # -- in folders -----------------------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> list[RecordedTask]:
        """The tasks, in the order in which they began."""
        found = [RecordedTask(task.folder) for task in list_tasks(self.folder)]
        return sorted(found, key=lambda task: (str(task.metadata.get("created_at")), task.folder.name))

    def task(self, name: str | None = None) -> RecordedTask:
        """The task of this name or id; without one the only task there is.

        Raises:
            AssertionError: there is none, or more than one; the message has those that there are.
        """
        __tracebackhide__ = True  # pytest shows the place in the test
        every = self.tasks
        found = [task for task in every if name in (None, task.name, task.task_id)]
        wanted = "one task" if name is None else f"one task {name!r}"
        have = "".join(f"\n  {task.name!r} ({task.task_id}, {task.outcome or 'open'})" for task in every) or " none"
        assert len(found) == 1, f"expected {wanted}, found {len(found)}; recorded were:{have}"
        return found[0]

    @property
    def lines(self) -> list[Line]:
        """All lines, of tasks and of none, in the order of time."""
        logged = [line for path in sorted(self.log_folder.glob("*.jsonl")) for line in read_lines(path)]
        found = [*(line for task in self.tasks for line in task.lines), *logged]
        return sorted((line for line in found if line.get("type") != "process"), key=lambda line: str(line.get("timestamp")))

    @property
    def logs(self) -> list[Line]:
        """The log lines among them."""
        return [line for line in self.lines if line.get("type") == LOG]

    @property
    def spans(self) -> list[SpanRecord]:
        """The spans of all tasks that have ended, adopted ones among them."""
        return [span for task in self.tasks for span in task.spans]

    def tree(self) -> str:
        """What ran in each task, see `RecordedTask.tree`."""
        return "\n".join(task.tree() for task in self.tasks)

    # -- in OTLP --------------------------------------------------------------------------------------------------------------

    def requests(self) -> list[tuple[str, bytes]]:
        """Signal (``traces``, ``logs``, ``metrics``) and body of each request that a collector would have got until now."""
        if self in ACTIVE and self._outlet.target is None:
            flush(FLUSH_S)
        return self._outlet.requests()

    def sent(self, signal: str) -> list[dict[str, Any]]:
        """What a collector would have got of ``traces``, ``logs`` or ``metrics``, as dicts (``otlp/decode.py``)."""
        from otel_agentlog.testing.otlp.decode import REQUEST_TYPES, decode_request

        kind = REQUEST_TYPES[signal]
        return [item for name, body in self.requests() if name == signal for item in decode_request(kind.FromString(body))]

    @property
    def sent_spans(self) -> list[dict[str, Any]]:
        """The spans, those outside every task too."""
        return self.sent("traces")

    @property
    def sent_logs(self) -> list[dict[str, Any]]:
        """The log records."""
        return self.sent("logs")

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The metrics as they are now, one dict for each, with its ``points``."""
        return self.sent("metrics")

    def metric(self, name: str) -> list[dict[str, Any]]:
        """The points of one metric; none where nothing was measured."""
        return [point for metric in self.metrics if metric["name"] == name for point in metric["points"]]

    def send_to(self, endpoint: str, *, protocol: str = "http/protobuf", timeout_s: float = 10.0) -> None:
        """Send everything that is recorded from now on to a collector, as `OtlpReceiver` is one; memory gets no more of it.

        ``timeout_s`` is the longest time that one request may take.
        """
        flush(FLUSH_S)
        given = {"endpoint": endpoint, "protocol": protocol}
        self._outlet.target = load(given, {}, {"OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout_s)})
        configure_again()

    def environ(self) -> dict[str, str]:
        """Variables for processes that the test starts: they record here, too, and send nothing unless their own say so."""
        return {"TASK_LOGS_DIR": str(self.folder), "AGENTLOG_LOG_DIR": str(self.log_folder), "AGENTLOG_CONSOLE": "off"}

    def flush(self, timeout_s: float = FLUSH_S) -> Receipt:
        """Send what is queued; what became of everything."""
        return flush(timeout_s)

    # -- on the console, and anywhere -------------------------------------------------------------------------------------------

    @property
    def console(self) -> str:
        """What a terminal would have shown."""
        return self._console.getvalue()

    def assert_not_left(self, *texts: str, in_: tuple[str, ...] = ("folder", "otlp", "console")) -> None:
        """Assert that none of these texts is anywhere: in a file below the folder, in a request, on the console.

        A text is found in keys and values, escaped as JSON has it, in JSON within JSON, in bytes, and across chunks of output. To
        assert that content stays on this machine: ``in_=("otlp",)``.

        Raises:
            AssertionError: one is somewhere; the message says where.
        """
        from otel_agentlog.testing.places import places_of

        __tracebackhide__ = True
        requests = self.requests() if "otlp" in in_ else []
        folders = (self.folder, self.log_folder) if "folder" in in_ else ()
        console = self.console if "console" in in_ else ""
        for text in texts:
            found = list(places_of(text, folders, requests, console))
            shown = [*found[:MAX_PLACES], *([f"… {len(found) - MAX_PLACES} more"] if len(found) > MAX_PLACES else [])]
            places = "".join(f"\n  {place}" for place in shown)
            assert not found, f"expected {text[:40]!r} nowhere in {', '.join(in_)}, found it in {len(found)} places:{places}"

    # -- faults -----------------------------------------------------------------------------------------------------------------

    @contextmanager
    def disk_full(self, code: int = errno.ENOSPC) -> Iterator[None]:
        """Within this block no line can be kept: each fails with `OSError` of this code, e.g. ``errno.EROFS`` for read-only.

        What is recorded is sent all the same, and counted as not kept.
        """
        before, self._disk.code = self._disk.code, code
        try:
            yield
        finally:
            self._disk.code = before

    def recover(self) -> None:
        """Close what dead processes left open, as the next process on this folder does."""
        recover(self.folder, everything=True)

    def surroundings(self, settings: Settings, chosen: dict[str, Any], clock: FixedClock | None) -> Surroundings:
        """What `configure` builds on while this records."""
        return Surroundings(
            settings={**self._in_this_folder(), **{name: getattr(settings, name) for name in chosen}},
            clocks=Clocks() if clock is None else Clocks(clock, clock.monotonic),
            outlet=self._outlet,
            sinks=(ConsoleSink(self._console),),
            keep=self._disk.below,
        )

    def _in_this_folder(self) -> dict[str, Any]:
        # The endpoint only says that everything is sent: the outlet takes it.
        sending: dict[str, Any] = {"endpoint": "http://127.0.0.1:9", "endpoint_given": True, "protocol": "http/protobuf"}
        for signal in ("traces", "logs", "metrics"):
            sending |= {f"{signal}_exporter": "otlp", f"{signal}_endpoint": None, f"{signal}_protocol": None}
        return {
            **sending,
            "enabled": True,
            "directory": self.folder,
            "log_directory": self.log_folder,
            "log_file": None,
            "console": "off",
            "handle_signals": False,
            "recover_on_start": False,
            "catch_up_days": 0.0,
            "resource_interval_s": 0.0,
            "send_delay_s": 0.05,
            "shutdown_timeout_s": 2.0,
        }


class _Disk:
    """Fails in the place of the disk, while it has a code."""

    def __init__(self) -> None:
        self.code: int | None = None

    def below(self, folders: Sink) -> Sink:
        return _KeptOrNot(self, folders)


class _KeptOrNot:
    name = "folder"
    keeps_lines = True

    def __init__(self, disk: _Disk, folders: Sink) -> None:
        self._disk, self._folders = disk, folders

    def __call__(self, envelope: Envelope) -> None:
        if self._disk.code is not None:
            raise OSError(self._disk.code, os.strerror(self._disk.code))
        self._folders(envelope)


@contextmanager
def record_in(folder: Path, *, clock: FixedClock | None = None, **settings: Any) -> Iterator[Recorded]:
    """Record in this block into ``folder``, by the settings that are in force and those given here.

    `configure` may be called within it: what it is given counts, but for where things go. Nothing reaches a collector, whatever
    the environment says. What was configured before goes on afterwards. Blocks may be nested; not for several threads at once.

    Raises:
        ConfigurationError: a setting that does not exist or whose value cannot be used.
    """
    recorded, before = Recorded(folder), settings_given()
    with surrounded(recorded.surroundings(load(settings, {}, {}), settings, clock)):
        configure(**before)
        ACTIVE.append(recorded)
        try:
            yield recorded
        finally:
            ACTIVE.remove(recorded)
