"""The sink that queues lines, and what becomes of them on the delivery worker's thread: metrics, spans, log records.

The calling thread only queues the bytes of a line. A span is made of its start and its end line; the start lines of open spans
are kept here, and past a bound their spans are sent from their folders. Each item has a reference to the line that completed it,
by which its delivery is noted in the folder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from opentelemetry._logs import Logger

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.export.encoding import Encoder
from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.pipeline.items import Item, ItemRef, LiveDeliveryObserver
from otel_agentlog.export.pipeline.worker import DeliveryWorker, Recorded
from otel_agentlog.export.records import fields_of, log_record
from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.export.transport.wire import Encoded
from otel_agentlog.vocabulary.coerce import untagged
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, LOG, SPAN, Line, items_of, parse_timestamp
from otel_agentlog.vocabulary.records import (
    MAX_NOTED,
    Origin,
    SpanEvent,
    add_stages,
    begun_span,
    end_span,
    is_noted,
    signal_of,
    stage_event,
)

MAX_OPEN = 20_000
"""Spans that wait for their end, and kilobytes of their start lines; a leak of them must not become a leak of memory."""

MAX_STAGES = 1_000
"""Stages of one webhook that are kept for its span; its folder has all of them."""

_loads = orjson.loads


class _Start(NamedTuple):
    """The start line of an open span."""

    data: bytes
    time_ns: int


class ExportSink:
    """Queues lines with the delivery worker, and makes of them what is sent."""

    name = "export"

    def __init__(
        self,
        worker: DeliveryWorker,
        conventions: Conventions,
        metrics: Metrics | None,
        logger: Logger | None,
        observer: LiveDeliveryObserver,
        *,
        sends: Collection[str],
        emits: Callable[[], bool],
        origin: Origin,
        encoder: Encoder,
    ) -> None:
        """``sends`` are the signals that this worker sends; ``metrics`` and ``logger`` are ``None`` where they are off. Log
        records go to ``logger``, for others to take, while ``emits`` is true. ``origin`` is that of all lines of this process."""
        self._worker, self._conventions, self._metrics, self._logger = worker, conventions, metrics, logger
        self._observer, self._origin, self._encoder, self._emits = observer, origin, encoder, emits
        self._source = encoder.source(origin.resource, origin.scope)
        self._sends_spans, self._sends_logs = "traces" in sends, "logs" in sends
        self._counted = {SPAN: 0, LOG: 0}
        """Items that were recorded and are to be counted in metrics, by signal."""
        self._policy, self._content_on = conventions.content_policy, conventions.content_on
        self._needs_ai_starts = "event" in conventions.content_on and conventions.content_policy != "off"
        silent = {"process", "subtask"} if self._policy != "off" else {"process", "subtask", *CONTENT_TYPES}
        self._silent = frozenset(silent)
        """Types of lines of which nothing is sent or counted."""
        if metrics is not None:
            metrics.gather()
        worker.on_line, worker.on_taken = self._work, self._count
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: what the parent began it ends itself."""
        self._open: dict[str, _Start] = {}
        self._open_bytes = 0
        self._noted: dict[str, deque[tuple[int, Line]]] = {}
        """By span id, the lines that are events of an open span."""
        self._stages: dict[str, list[SpanEvent]] = {}
        """By span id, the stages of a webhook that has not ended."""

    # -- on the calling thread --------------------------------------------------------------------------------------------

    def __call__(self, envelope: Envelope) -> None:
        line, task, payload = envelope.line, envelope.task, envelope.payload
        kind, phase = line.get("type"), line.get("phase")
        if kind in self._silent:
            return
        home = None if task is None else task.home
        place = None if home is None else home.location
        recorded = (
            envelope.data or envelope.encoded(),
            kind,
            phase,
            line.get("span_id"),
            envelope.time_ns,
            place,
            envelope.kept,
            envelope.sampled,
            envelope.webhook,
            None if payload is None else payload.get("chunk_intervals_ms"),
        )
        # The end of a task gets in for longer: then it is decided what of it is sent.
        ends = kind == "task" and phase == "end"
        if not self._worker.take(recorded, always=ends):
            self._leave(envelope, place)
            if ends:
                self._observer.ended(place)

    def _leave(self, envelope: Envelope, home: str | None) -> None:
        """The worker has no room for a line: its items stay in the folder."""
        if envelope.line.get("phase") == "end":
            self._worker.do(lambda: self._forget(envelope.line.get("span_id")))
        refs = self._refs(envelope.line, home, envelope.kept)
        if home is None or not envelope.kept or envelope.sampled:
            for signal in ("traces", "logs"):
                self._worker.leave(signal, [ref for ref in refs if signal_of(ref.kind) == signal])
        elif refs and not self._worker.do(lambda: self._note_unsampled(refs)):
            self._note_unsampled(refs)

    def _refs(self, line: Line, home: str | None, kept: bool) -> list[ItemRef]:
        event_id = line.get("event_id")
        return [ItemRef(home, event_id, kind, kept) for kind in items_of(line, self._policy, self._content_on)]

    # -- on the worker's thread -------------------------------------------------------------------------------------------

    def _work(self, recorded: Recorded) -> None:
        data, kind, phase, span_id, time_ns, home, kept, sampled, webhook, intervals = recorded
        if webhook:
            self._add_stage(span_id, _loads(data), time_ns)
            return
        if phase == "start":
            self._begin(recorded)
            return
        line: Line = _loads(data)
        if phase is None and span_id in self._open and is_noted(line, self._origin.span_events):
            self._noted.setdefault(span_id, deque(maxlen=MAX_NOTED)).append((time_ns, line))
        # A line that could not be written is in no folder: what is made of it is sent now or never.
        lasting = home is not None and kept
        if kind == LOG and self._sends_logs and (sampled or not lasting) and self._send_plain_log(line, time_ns, home, kept):
            return
        refs = self._refs(line, home, kept)
        if self._metrics is not None:
            if kind != LOG or "exception" in line:
                self._metrics.on_line(line, intervals or (), sampled=sampled)
            for ref in refs:
                self._counted[SPAN if ref.kind == SPAN else LOG] += 1
        start = self._end(span_id) if phase == "end" else None
        if lasting and not sampled:
            # Logs of a task go where its spans go: it is left out, or sent, as a whole.
            self._note_unsampled(refs)
        else:
            self._send(line, refs, start, time_ns, sampled)
        if kind == "task" and phase == "end":
            self._observer.ended(home)

    def _begin(self, recorded: Recorded) -> None:
        data, kind, _, span_id, time_ns, _, _, sampled, _, _ = recorded
        if kind == "task" and self._metrics is not None:
            self._metrics.on_line(_loads(data), sampled=sampled)
        if (self._sends_spans and sampled) or (self._needs_ai_starts and kind == "ai_request"):
            self._end(span_id)
            self._open[span_id] = _Start(data, time_ns)
            self._open_bytes += len(data)
            while len(self._open) > MAX_OPEN or self._open_bytes > 1_000 * MAX_OPEN:
                # A span that never ends, or one that is sent from its folder when it does.
                self._forget(next(iter(self._open)))

    def _end(self, span_id: str) -> _Start | None:
        start = self._open.pop(span_id, None)
        if start is not None:
            self._open_bytes -= len(start.data)
        return start

    def _forget(self, span_id: Any) -> None:
        self._end(span_id)
        self._stages.pop(span_id, None)
        self._noted.pop(span_id, None)

    def _add_stage(self, span_id: str, line: Line, time_ns: int) -> None:
        if self._sends_spans and span_id in self._open:
            stages = self._stages.setdefault(span_id, [])
            stages.append(stage_event(line, time_ns))
            del stages[:-MAX_STAGES]

    def _note_unsampled(self, refs: Sequence[ItemRef]) -> None:
        self._observer.unsampled([ref for ref in refs if self._is_sent(ref.kind)])

    def _is_sent(self, kind: str) -> bool:
        return self._sends_spans if kind == SPAN else self._sends_logs

    def _send(self, line: Line, refs: Sequence[ItemRef], start: _Start | None, time_ns: int, sampled: bool) -> None:
        begun: Line | None = None if start is None else _loads(start.data)
        for ref in refs:
            if ref.kind != SPAN:
                self._send_log(ref, line, begun, time_ns)
            elif self._sends_spans and sampled:
                self._send_span(ref, line, begun, start.time_ns if start is not None else 0, time_ns)

    def _send_span(self, ref: ItemRef, line: Line, begun: Line | None, start_ns: int, end_ns: int) -> None:
        stages = self._stages.pop(line["span_id"], None) if self._stages else None
        noted = self._noted.pop(line["span_id"], ()) if self._noted else ()
        if begun is None:
            self._worker.leave("traces", [ref])
            return
        try:
            plain = not (stages or noted or "exception" in line)
            encoded = None if not plain else self._encoder.plain_span(begun, line, start_ns, end_ns, self._source)
            if encoded is None:
                span = begun_span(begun, self._origin, start_ns, attribute_values(begun))
                span.noted.extend(noted)
                end_span(span, line, end_ns, attribute_values(line), _time_of)
                if stages is not None:
                    add_stages(span, [*{(stage.name, stage.time_ns): stage for stage in stages}.values()])
                encoded = self._encoder.span(span)
        except Exception as error:  # noqa: BLE001 - user processors may have put anything into a line
            raise_interrupt()
            self._refuse(ref, error)
            return
        self._put("traces", ref, encoded)

    def _send_plain_log(self, line: Line, time_ns: int, home: str | None, kept: bool) -> bool:
        """Send the log record of a log call, as nearly all lines are; false for a line that is to be looked at with care."""
        if self._logger is not None and self._emits():
            return False
        try:
            encoded = self._encoder.plain_log(line, time_ns, self._source)
        except Exception:  # noqa: BLE001 - as for spans
            raise_interrupt()
            return False
        if encoded is None:
            return False
        self._counted[LOG] += self._metrics is not None
        self._put("logs", ItemRef(home, line.get("event_id"), LOG, kept), encoded)
        return True

    def _send_log(self, ref: ItemRef, line: Line, begun: Line | None, time_ns: int) -> None:
        emits = self._logger is not None and self._emits()
        if not (emits or self._sends_logs):
            return
        try:
            fields = fields_of(ref.kind, line, begun, self._conventions)
            if emits and self._logger is not None:
                self._logger.emit(log_record(fields, line, time_ns))
            if not self._sends_logs:
                return
            encoded = self._encoder.log(fields, line, time_ns, self._source)
        except Exception as error:  # noqa: BLE001 - as for spans
            raise_interrupt()
            self._refuse(ref, error)
            return
        self._put("logs", ref, encoded)

    def _count(self) -> None:
        """Count what was recorded, once for many lines."""
        if (metrics := self._metrics) is None:
            return
        metrics.settle()
        for signal, count in self._counted.items():
            if count:
                self._counted[signal] = 0
                metrics.on_delivery(signal, "recorded", count)

    def _put(self, signal: str, ref: ItemRef, encoded: Encoded) -> None:
        self._worker.add(Item(signal, encoded, ref, len(encoded.data)))

    def _refuse(self, ref: ItemRef, error: Exception) -> None:
        """What OTLP has no form for is never sent."""
        if ref.home is not None and ref.kept:
            self._observer.rejected([ref], "encoding", type(error).__name__)
        if self._metrics is not None:
            self._metrics.on_delivery(SPAN if ref.kind == SPAN else LOG, "dropped", 1, "encoding")


def attribute_values(line: Line) -> dict[str, Any]:
    """Attributes, links and events of a line as they were before it was written."""
    values: dict[str, Any] = {}
    for key in ("attributes", "links", "events"):
        if found := line.get(key):
            values[key] = _untagged(found) if key == "attributes" and type(found) is dict and len(found) > 1 else untagged(found)
    return values


def _untagged(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Nearly all of them are plain."""
    return {key: untagged(value) if type(value) in (dict, list) else value for key, value in attributes.items()}


def _time_of(event: Mapping[str, Any]) -> int:
    try:
        return parse_timestamp(str(event.get("timestamp")))
    except ValueError:
        raise_interrupt()
        return 0
