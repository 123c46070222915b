"""Rows of OTLP to clean parts of tasks, as they are kept on disk; which task each of them belongs to.

A span belongs to its trace, a log record or data point to the trace that it names, else to the session (or conversation), else to
the service that sent it, by the hour. Everything that others chose passes the one cleaning step before it is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, NamedTuple

import orjson

from otel_agentlog._startup import dataclass
from otel_agentlog.record.operations.context import CONVERSATION
from otel_agentlog.tools.imports.readers import otlp
from otel_agentlog.tools.imports.readers.events import moment_ns
from otel_agentlog.tools.imports.readers.spans import LeftOut, Resource, TracedLog, TracedSpan, resource_of
from otel_agentlog.vocabulary.coerce import mapping, objects, text
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import RESOURCE_ID, timestamp

Clean = Callable[[dict[str, Any]], Envelope]
"""The cleaning step: any line to a clean one."""

SESSION, SERVICE, TRACE = "session", "service", "trace"
"""Kinds of tasks; a key is a kind, a dash and an id."""

_SESSIONS = (
    "session.id",
    CONVERSATION,
    "conversation.id",
    "session_id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
)
OWN_TASK = "agentlog.task.id"
"""Attribute of a span: the task that a program with this SDK recorded itself."""

_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_FAILED = "[redacted: processor failed]"
_CUMULATIVE = (2, "AGGREGATION_TEMPORALITY_CUMULATIVE")
_METRICS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_POINT_FIELDS = (
    "count",
    "sum",
    "min",
    "max",
    "bucketCounts",
    "explicitBounds",
    "quantileValues",
    "scale",
    "zeroCount",
    "zeroThreshold",
    "positive",
    "negative",
)
MAX_SESSION_CHARACTERS = 200


class TaskPart(NamedTuple):
    """A part of a task, as the spool keeps it."""

    task: str
    """The key of its task."""
    kind: str
    """``span``, ``log``, ``facts``, ``own``: the id of a task that a span names as its own, or ``resource``."""
    id: str
    """What no other part of this kind and task has; the same when it is sent again."""
    at_ns: int
    data: bytes
    is_root: bool = False
    """Of a span: it has no parent in this process, so its trace is complete."""
    replaces: bool = False
    """Whether it stands for an earlier one of its id: a sum that has grown."""


@dataclass
class Request:
    """What a request is made of."""

    parts: list[TaskPart] = field(default_factory=list)
    items: int = 0
    rejected: int = 0
    """Items that cannot be used."""
    reason: str = ""
    """Why the first of them cannot."""
    redacted: int = 0
    """Secrets that were replaced."""
    equal: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often a log record of the same task and content was there."""
    resources: set[tuple[str, str]] = field(default_factory=set)
    """Tasks and the hashes of resources that are among the parts."""

    def add(self, part: TaskPart, resource: Resource) -> None:
        """Add a part, and its resource once."""
        self.parts.append(part)
        if resource.id is not None and (key := (part.task, resource.id)) not in self.resources:
            self.resources.add(key)
            self.parts.append(TaskPart(part.task, "resource", resource.id, part.at_ns, resource.data))

    def add_log(self, part: TaskPart, resource: Resource) -> None:
        """Add a log record. Equal ones of one request are several; sent again they have the same numbers."""
        same = part.task, part.id
        number = self.equal[same]
        self.equal[same] += 1
        self.add(part._replace(id=f"{part.id}-{number}") if number else part, resource)

    def reject(self, reason: str) -> None:
        """Count one that cannot be used."""
        self.rejected += 1
        self.reason = self.reason or reason


def parts_of(signal: str, row: Mapping[str, Any], clean: Clean, into: Request) -> None:
    """Add the parts of a row."""
    if signal == "traces":
        _add_spans(row, clean, into)
    elif signal == "logs":
        for record, resource, scope in _each(row, clean, "resourceLogs", "scopeLogs", "logRecords"):
            into.items += 1
            found = otlp.log_record(record, scope)
            if found is None:
                into.reject("expected a log record with timeUnixNano or observedTimeUnixNano")
            else:
                into.add_log(_log_part(found, resource, clean), resource)
    else:
        for metric, resource, scope in _each(row, clean, "resourceMetrics", "scopeMetrics", "metrics"):
            _add_points(metric, resource, scope, clean, into)


def _resource_of(group: Mapping[str, Any], clean: Clean) -> Resource:
    attributes = otlp.attributes_of(mapping(group, "resource"))
    return resource_of(attributes, lambda given: clean({"resource": given}).line.get("resource", {}))


def _each(row: Mapping[str, Any], clean: Clean, *keys: str) -> Iterator[tuple[Mapping[str, Any], Resource, str]]:
    """Each item of a row with its resource and the name of its scope."""
    for group in objects(row, keys[0]):
        resource = _resource_of(group, clean)
        for scoped in objects(group, keys[1]):
            scope = text(mapping(scoped, "scope"), "name") or "unknown"
            for item in objects(scoped, keys[2]):
                yield item, resource, scope


# -- spans ----------------------------------------------------------------------------------------------------------------


def _add_spans(row: Mapping[str, Any], clean: Clean, into: Request) -> None:
    for group in objects(row, "resourceSpans"):
        resource = _resource_of(group, clean)
        for found in otlp.read({"resourceSpans": [group]}):
            if isinstance(found, LeftOut):
                into.items += 1
                into.reject(found.reason)
            elif isinstance(found, TracedSpan):
                into.items += 1
                for part in _span_parts(found, resource, clean):
                    into.add(part, resource)


def _span_parts(span: TracedSpan, resource: Resource, clean: Clean) -> Iterator[TaskPart]:
    start, end = span.start, span.end
    given = {
        "name": start["name"],
        "attributes": start["attributes"],
        "scope": start["scope"],
        "events": end["events"],
        "links": start.get("links", []),
        "status_description": end["status_description"],
        "service": span.service,
    }
    envelope = clean(given)
    kept = envelope.line
    attributes = kept.get("attributes", {})
    ids = {key: start[key] for key in _OURS if key in start}
    data: dict[str, Any] = {
        "start": {**ids, "name": kept.get("name", _FAILED), "attributes": attributes, "scope": kept.get("scope", _NO_SCOPE)},
        "end": {
            "end_ns": end["end_ns"],
            "events": kept.get("events", []),
            "status_code": end["status_code"],
            "status_description": kept.get("status_description"),
        },
        "service": kept.get("service"),
    }
    if resource.id is not None:
        data["start"][RESOURCE_ID] = resource.id
    if kept.get("links"):
        data["start"]["links"] = kept["links"]
    task = f"{TRACE}-{start['trace_id']}"
    is_root = "parent_span_id" not in start or "parent_remote" in start
    yield TaskPart(task, "span", start["span_id"], start["start_ns"], _encoded(data), is_root)
    session, own = session_of(attributes), text(attributes, OWN_TASK)
    if own is not None:
        yield TaskPart(task, "own", own, start["start_ns"], orjson.dumps(own))
    elif session is not None:
        facts = {"trace_id": start["trace_id"], "session_id": session, "at_ns": start["start_ns"]}
        yield TaskPart(task, "facts", "facts", start["start_ns"], orjson.dumps(facts))


_OURS = ("kind", "trace_id", "span_id", "trace_flags", "start_ns", "parent_span_id", "parent_remote")
_NO_SCOPE = {"name": "unknown"}


def span_of(data: Mapping[str, Any]) -> TracedSpan:
    """The span of a part, whose end has the attributes and the name of its start."""
    start = data["start"]
    end = {**data["end"], "name": start["name"], "attributes": start["attributes"]}
    return TracedSpan(start, end, data.get("service"))


def session_of(attributes: Mapping[str, Any]) -> str | None:
    """The id of the session or conversation, by any of the names for it."""
    for name in _SESSIONS:
        if found := text(attributes, name):
            return found[:MAX_SESSION_CHARACTERS]
    return None


# -- log records and data points ------------------------------------------------------------------------------------------


def _log_part(log: TracedLog, resource: Resource, clean: Clean) -> TaskPart:
    kept = clean({"message": log.message, "details": dict(log.details), "logger": log.logger, "service": resource.service}).line
    details = kept.get("details", {})
    data = {
        "trace_id": log.trace_id,
        "span_id": log.span_id,
        "at_ns": log.at_ns,
        "level": log.level,
        "logger": kept.get("logger", "unknown"),
        "message": kept.get("message", _FAILED),
        "details": details,
        "resource": resource.id,
    }
    encoded = _encoded({**data, "service": kept.get("service")})
    id_ = _hash(encoded + resource.hash.encode())
    return TaskPart(_task_of(log.trace_id, details, kept.get("service"), log.at_ns), "log", id_, log.at_ns, encoded)


def _add_points(metric: Mapping[str, Any], resource: Resource, scope: str, clean: Clean, into: Request) -> None:
    kind = next((each for each in _METRICS if isinstance(metric.get(each), Mapping)), None)
    if kind is None:
        into.items += 1
        into.reject("expected a metric with data")
        return
    holder = mapping(metric, kind)
    for point in objects(holder, "dataPoints"):
        into.items += 1
        at_ns = moment_ns(point.get("timeUnixNano"))
        if at_ns is None:
            into.reject("expected a data point with timeUnixNano")
        else:
            into.add(_point_part(metric, kind, point, at_ns, resource, scope, clean), resource)


def _point_part(
    metric: Mapping[str, Any],
    kind: str,
    point: Mapping[str, Any],
    at_ns: int,
    resource: Resource,
    scope: str,
    clean: Clean,
) -> TaskPart:
    details: dict[str, Any] = {
        "metric": text(metric, "name") or "metric",
        "unit": text(metric, "unit") or "",
        "kind": kind,
        **_value_of(point),
        "attributes": otlp.attributes_of(point),
    }
    kept = clean({"details": details, "logger": scope, "service": resource.service}).line
    details, service = kept.get("details", {}), kept.get("service")
    attributes, name = mapping(details, "attributes"), str(details.get("metric", _FAILED))
    is_sum = mapping(metric, kind).get("aggregationTemporality") in _CUMULATIVE
    task = _task_of("", attributes, service, at_ns)
    data = {
        "trace_id": "",
        "span_id": None,
        "at_ns": at_ns,
        "level": "INFO",
        "logger": kept.get("logger", "unknown"),
        "message": name,
        "details": details,
        "resource": resource.id,
        "service": service,
    }
    encoded = _encoded(data)
    # Of a sum since its start only the last report counts.
    same = _encoded([name, attributes, data["logger"], moment_ns(point.get("startTimeUnixNano"))]) if is_sum else encoded
    return TaskPart(task, "log", _hash(same + resource.hash.encode()), at_ns, encoded, replaces=is_sum)


def _value_of(point: Mapping[str, Any]) -> dict[str, Any]:
    number = point.get("asDouble", point.get("asInt"))
    found = {} if number is None else {"value": int(number) if isinstance(number, str) and _is_integer(number) else number}
    return found | {key: point[key] for key in _POINT_FIELDS if key in point}


def _is_integer(value: str) -> bool:
    digits = value.removeprefix("-")
    return len(value) <= 20 and digits.isascii() and digits.isdigit()


def _task_of(trace_id: str, attributes: Mapping[str, Any], service: object, at_ns: int) -> str:
    if trace_id:
        return f"{TRACE}-{trace_id}"
    if (session := session_of(attributes)) is not None:
        return f"{SESSION}-{_plain(session)}"
    hour = timestamp(at_ns)[:13].replace(":", "")
    return f"{SERVICE}-{_plain(str(service))}-{hour}"


def _plain(name: str) -> str:
    """An id as it is if it can be part of a folder's name, else its letters and a hash of it."""
    if _PLAIN_ID.fullmatch(name):
        return name
    return f"{_UNSAFE.sub('-', name)[:40].strip('-._') or 'x'}-{_hash(name.encode('utf-8', 'replace'))[:12]}"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _encoded(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
