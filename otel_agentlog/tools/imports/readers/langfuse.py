"""Exports of Langfuse: observations, traces and scores, by the API, the export of tables, or to blob storage.

Names are in camelCase (API, one trace as JSON) or snake_case (blob storage). A row is an observation, a trace (with its
``observations`` and ``scores`` or without), a score, or a page of these (``{"data": […]}``). ``usageDetails`` has tokens by kind:
all kinds with ``input`` in their names together are the input; where ``input`` has the cached ones already, the total says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from otel_agentlog.tools.imports.readers.events import moment_ns, read_json
from otel_agentlog.tools.imports.readers.spans import LeftOut, Traced, TracedScore, TraceFacts, exported_span, hex_id
from otel_agentlog.vocabulary.coerce import number, objects, texts

NAME = "langfuse"
_TYPES = frozenset({"SPAN", "GENERATION", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"})


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether a row is of such a file."""
    if isinstance(row.get("data"), list):
        return any(recognises(each) for each in row["data"] if isinstance(each, Mapping) and "data" not in each)
    if isinstance(row.get("trace"), Mapping) and isinstance(row.get("observations"), list):
        return True
    return _is_observation(row) or _is_score(row) or _is_trace(row)


def read(row: Mapping[str, Any]) -> Iterator[Traced]:
    """The spans, scores and facts of a row."""
    if isinstance(row.get("data"), list):
        for each in objects(row, "data"):
            yield from _one(each)
        return
    trace = row["trace"] if isinstance(row.get("trace"), Mapping) else None
    yield from _one(row if trace is None else {**trace, **{key: row[key] for key in ("observations", "scores") if key in row}})


def _one(row: Mapping[str, Any]) -> Iterator[Traced]:
    if _is_observation(row):
        yield _observation(row)
    elif _is_score(row):
        yield _score(row)
    elif (trace_id := hex_id(row.get("id"), 32)) is not None:
        yield _facts(row, trace_id)
        for each in objects(row, "observations"):
            yield _observation({"traceId": row["id"], **each})
        for each in objects(row, "scores"):
            yield _score({"traceId": row["id"], **each})
    else:
        yield LeftOut("expected an observation, a trace or a score, found none of them")


def _is_observation(row: Mapping[str, Any]) -> bool:
    kind = row.get("type")
    return isinstance(kind, str) and kind.upper() in _TYPES and _get(row, "startTime") is not None


def _is_score(row: Mapping[str, Any]) -> bool:
    return "value" in row and isinstance(row.get("name"), str) and (_get(row, "traceId") is not None or "dataType" in row)


def _is_trace(row: Mapping[str, Any]) -> bool:
    has_id = isinstance(row.get("id"), str) and "type" not in row
    return has_id and (
        isinstance(row.get("observations"), list) or ("timestamp" in row and ("projectId" in row or "project_id" in row))
    )


def _get(row: Mapping[str, Any], name: str) -> Any:
    """A value by its name in camelCase, which may be written in snake_case."""
    return row[name] if name in row else row.get("".join(f"_{each.lower()}" if each.isupper() else each for each in name))


def _text(row: Mapping[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := _get(row, name), str) and value), None)


def _facts(row: Mapping[str, Any], trace_id: str) -> TraceFacts:
    return TraceFacts(
        trace_id,
        _text(row, "name"),
        _text(row, "sessionId"),
        _text(row, "userId"),
        tuple(texts(row, "tags")),
        read_json(row.get("input")),
        read_json(row.get("output")),
        moment_ns(row.get("timestamp")) or 0,
    )


def _observation(row: Mapping[str, Any]) -> Traced:
    trace_id, span_id, start_ns = hex_id(_get(row, "traceId"), 32), hex_id(row.get("id"), 16), moment_ns(_get(row, "startTime"))
    if trace_id is None or span_id is None or start_ns is None:
        return LeftOut("expected an observation with id, traceId and startTime")
    return exported_span(
        "langfuse",
        (trace_id, span_id, hex_id(_get(row, "parentObservationId"), 16)),
        (start_ns, moment_ns(_get(row, "endTime"))),
        _text(row, "name") or str(row["type"]).lower(),
        _attributes(row),
        ("ERROR" if row.get("level") == "ERROR" else "UNSET", _text(row, "statusMessage")),
    )


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "langfuse.observation.type": str(row["type"]).lower(),
        "langfuse.observation.model.name": _text(row, "model", "providedModelName"),
        "langfuse.observation.input": _written(row.get("input")),
        "langfuse.observation.output": _written(_answer(row)),
        "langfuse.trace.name": _text(row, "traceName"),
        "session.id": _text(row, "sessionId"),
        "user.id": _text(row, "userId"),
        "langfuse.observation.metadata": _written(row.get("metadata")),
        "gen_ai.usage.cost": _cost(row),
    }
    found.update(_tokens(row))
    return {name: value for name, value in found.items() if value is not None}


def _answer(row: Mapping[str, Any]) -> Any:
    """The output; a message as the only one of a list, as inputs are."""
    output = read_json(row.get("output"))
    return [output] if isinstance(output, Mapping) and isinstance(output.get("role"), str) else output


def _tokens(row: Mapping[str, Any]) -> dict[str, int]:
    """The tokens, by the names of the conventions."""
    usage = read_json(_get(row, "usageDetails"))
    usage = usage if isinstance(usage, Mapping) and usage else read_json(row.get("usage"))
    counts = {str(key): int(value) for key, value in (usage.items() if isinstance(usage, Mapping) else ()) if _is_count(value)}
    given = sum(count for key, count in counts.items() if "input" in key)
    gave = sum(count for key, count in counts.items() if "output" in key)
    if "total" in counts and given + gave > counts["total"]:
        given, gave = counts.get("input", given), counts.get("output", gave)
    read = sum(count for key, count in counts.items() if "cache_read" in key or "cached" in key)
    written = sum(count for key, count in counts.items() if "cache_creation" in key or "cache_write" in key)
    thought = sum(count for key, count in counts.items() if "reasoning" in key)
    named = {
        "input_tokens": given,
        "output_tokens": gave,
        "cache_read.input_tokens": read,
        "cache_creation.input_tokens": written,
    }
    named["reasoning.output_tokens"] = thought
    return {f"gen_ai.usage.{name}": count for name, count in named.items() if count}


def _is_count(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15


def _cost(row: Mapping[str, Any]) -> float | None:
    details = read_json(_get(row, "costDetails"))
    total = number(details, "total") if isinstance(details, Mapping) else None
    found = (total, *(number({"cost": _get(row, name)}, "cost") for name in ("totalCost", "calculatedTotalCost")))
    return next((cost for cost in found if cost is not None and 0 <= cost < 1e9), None)


def _score(row: Mapping[str, Any]) -> Traced:
    trace_id, name, value = hex_id(_get(row, "traceId"), 32), _text(row, "name"), row.get("value")
    if trace_id is None or name is None:
        return LeftOut("expected a score with traceId and name")
    at_ns = moment_ns(_get(row, "timestamp") or _get(row, "createdAt")) or 0
    amount = float(value) if isinstance(value, (int, float)) else None
    label = _text(row, "stringValue") or (value if isinstance(value, str) else None)
    span_id = hex_id(_get(row, "observationId"), 16)
    return TracedScore(trace_id, span_id, at_ns, name, amount, label, _text(row, "comment"), _text(row, "authorUserId", "source"))


def _written(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
