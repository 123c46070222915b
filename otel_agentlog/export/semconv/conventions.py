"""Span name, kind, attributes and status of a line, by the GenAI conventions: the class `Conventions`.

The names themselves are in `otel_agentlog.export.semconv.names`; what each type of line adds is in ``spans.py``, content in
``content.py``. The mapping reads nothing but the line (``docs/format.md``), so the folder alone gives the same spans later.

Profiles: ``names.py``. Attributes that the convention requires are set on spans in every profile.

Precedence of attributes: the user's own win for core names such as ``server.address``; under ``gen_ai.*`` and ``agentlog.*``
ours win, and ids, outcome and content can only come from us. The user's come first and ids last, because the SDK drops the
*oldest* attributes past its limit of 128. The user's are capped as well (`USER_ATTRIBUTES_AT_START`,
`USER_ATTRIBUTES_AT_END`), so that the limit is not reached: a span that dropped anything could not be rebuilt from the
folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from opentelemetry.util.types import AttributeValue

from otel_agentlog.export.semconv import content, fields, names, spans
from otel_agentlog.export.semconv.content import ContentPolicy
from otel_agentlog.export.semconv.names import Profile
from otel_agentlog.export.semconv.operations import OPERATIONS, is_inference
from otel_agentlog.export.semconv.spans import error_attributes, error_type, span_status
from otel_agentlog.vocabulary.coerce import as_text, mapping
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import FAILED

__all__ = ["USER_ATTRIBUTES_AT_END", "USER_ATTRIBUTES_AT_START", "ContentPolicy", "Conventions", "Profile"]

Attributes = dict[str, AttributeValue]

USER_ATTRIBUTES_AT_START = 48
"""Attributes of the user's own that a start line gives to its span; the number left out is ``agentlog.attributes.dropped``."""
USER_ATTRIBUTES_AT_END = 16
"""The same for an end line. Together with ours they stay below 128."""

_KINDS = {"ai_request": "CLIENT", "webhook": "SERVER", "queue_push": "PRODUCER", "queue_pickup": "CONSUMER"}

_STARTS: dict[str, Callable[[Line, Mapping[str, Any], Attributes], str]] = {
    "task": spans.task_start,
    "step": spans.step_start,
    "ai_request": spans.ai_start,
    "tool_call": spans.tool_start,
    "webhook": spans.webhook_start,
    "queue_push": spans.push_start,
    "queue_pickup": spans.pickup_start,
    "segment": spans.segment_start,
}
_ENDS: dict[str, Callable[[Line, Mapping[str, Any]], Attributes]] = {"task": spans.task_end, "ai_response": spans.ai_end}
_END_FIELDS = {
    "tool_result": fields.TOOL_END,
    "queue_push": fields.QUEUE_LATENCY,
    "queue_pickup": fields.QUEUE_LATENCY,
    "webhook": fields.WEBHOOK_END,
}
"""Types whose end adds nothing but these."""

_MESSAGES = frozenset({names.INPUT_MESSAGES, names.OUTPUT_MESSAGES})
_AI_CONTENT = _MESSAGES | {names.SYSTEM_INSTRUCTIONS, names.TOOL_DEFINITIONS}
"""Of an inference; of another operation its own."""
_TOOL_CONTENT = frozenset({names.TOOL_CALL_ARGUMENTS, names.TOOL_CALL_RESULT})
_CONTENT = {
    "task": _MESSAGES,
    "ai_request": _AI_CONTENT,
    "ai_response": _AI_CONTENT,
    "tool_call": _TOOL_CONTENT,
    "tool_result": _TOOL_CONTENT,
}

_OURS = ("gen_ai.", "agentlog.")
_RESERVED = (
    content.KEYS
    | {attribute for _, attribute, _ in fields.COMMON + fields.USAGE}
    | {names.OPERATION, names.PROVIDER, names.REQUEST_MODEL, names.AGENT_NAME, names.TOOL_NAME, names.WORKFLOW_NAME}
    | {names.OUTCOME, names.REASON, names.ERROR_TYPE, names.LEGACY_SYSTEM, names.LEGACY_USAGE_CACHE_CREATION}
)
"""Attributes a user cannot set: identity, outcome, content and usage."""


class Conventions:
    """Names and attributes of spans under one profile and content policy. Immutable; safe from any thread."""

    def __init__(
        self,
        profile: Profile = "latest",
        content_policy: ContentPolicy = "off",
        content_on: frozenset[Literal["span", "event"]] = frozenset({"span"}),
    ) -> None:
        self.profile: Profile = profile
        self.content_policy: ContentPolicy = content_policy
        self.content_on = content_on
        self._legacy = profile in names.LEGACY
        self._starts = _STARTS.copy()
        self._starts["task"] = partial(spans.task_start, profile=profile)
        self._starts["ai_request"] = partial(spans.ai_start, profile=profile)
        self._internal = frozenset(name for name, known in OPERATIONS.items() if known.kind(profile) == "INTERNAL")
        """Operations of AI calls that are work of the program itself."""
        self._ends = _ENDS.copy()
        self._ends["task"] = partial(spans.task_end, profile=profile)
        self._span_policy: ContentPolicy = content_policy if "span" in content_on else "off"

    @property
    def schema_url(self) -> str | None:
        """Of what has these names; ``None`` where it is not known."""
        return None if self.profile in names.NEWEST else names.SCHEMA_URL_2026_10

    def __repr__(self) -> str:
        return f"Conventions({self.profile!r}, {self.content_policy!r}, {sorted(self.content_on)})"

    def started(self, line: Line) -> tuple[str, str, Attributes]:
        """Name, kind and attributes of the span that a start line begins.

        The name is of low cardinality; the kind is ``INTERNAL``, ``CLIENT``, ``SERVER``, ``PRODUCER`` or ``CONSUMER``; attributes
        are the user's, the convention's, content, ids.
        """
        line_type, details = line["type"], line.get("details")
        if type(details) is not dict:
            details = mapping(line, "details")
        ours: Attributes = {}
        start = self._starts.get(line_type)
        name = str(line.get("name") or line_type) if start is None else start(line, details, ours)
        if self._legacy and names.PROVIDER in ours:
            ours[names.LEGACY_SYSTEM] = ours[names.PROVIDER]
        if self._span_policy != "off":
            ours.update(self.content(line, structured=False))
        for key, attribute, _ in fields.COMMON:
            if key in line:
                value = line[key]
                if value and (type(value) is str or as_text(value) is not None):
                    ours[attribute] = value
        kind = _KINDS.get(line_type)
        if line_type == "ai_request" and ours[names.OPERATION] in self._internal:
            kind = "INTERNAL"
        return (
            name,
            kind or str(line.get("kind") or "INTERNAL"),
            _with_user(line, ours, USER_ATTRIBUTES_AT_START) if line.get("attributes") else ours,
        )

    def ended(self, line: Line) -> tuple[Attributes, str, str | None]:
        """What an end line adds to its span: attributes (``error.type`` iff it failed), code and description of its status."""
        line_type, details = line["type"], line.get("details")
        if type(details) is not dict:
            details = mapping(line, "details")
        ours: Attributes = {}
        if (table := _END_FIELDS.get(line_type)) is not None:
            fields.copy(details, table, ours)
        elif (build := self._ends.get(line_type)) is not None:
            ours = build(line, details)
        if self._legacy and names.USAGE_CACHE_WRITE in ours:
            self._rename_cache_write(ours)
        if self._span_policy != "off":
            ours.update(self.content(line, structured=False))
        status = spans.UNSET
        outcome = line.get("outcome")
        if type(outcome) is not str:
            outcome = as_text(outcome)
        if outcome:
            ours[names.OUTCOME] = outcome
        if (reason := line.get("reason")) is not None and (reason := as_text(reason)) is not None:
            ours[names.REASON] = reason
        if outcome and outcome in FAILED:
            ours[names.ERROR_TYPE] = error_type(line) or names.OTHER
            ours.update(error_attributes(line))
            status = span_status(line)
        return (_with_user(line, ours, USER_ATTRIBUTES_AT_END) if line.get("attributes") else ours), *status

    def adopted(self, line: Line, task_id: str, header: Mapping[str, Any]) -> Attributes:
        """What a line of another library's span adds to that; ``header`` is that of the task that was begun for it, if any."""
        return spans.adopted(line, mapping(line, "details"), task_id, header)

    def ai_exception(self, operation: str) -> str:
        """The name of the event that an exception of an AI call is."""
        newest = self.profile in names.NEWEST and is_inference(operation)
        return names.EVENT_INFERENCE_EXCEPTION if newest else names.EVENT_AI_EXCEPTION

    def end_attributes(self, line: Line) -> Attributes:
        """Attributes that an end line adds to its span."""
        return self.ended(line)[0]

    def stage_event(self, line: Line) -> tuple[str, Attributes]:
        """Name and attributes of the span event that a line of ``02-webhook-flow.jsonl`` is."""
        return spans.stage_event(line)

    def noted_event(self, line: Line) -> tuple[str, Attributes]:
        """Name and attributes of the event that a line is on the span it was recorded in."""
        return spans.noted_event(line)

    def content(self, line: Line, *, structured: bool) -> Attributes:
        """The content attributes of a start or end line under the policy, for spans and events alike."""
        details = mapping(line, "details")
        allowed = _CONTENT.get(line["type"])
        if allowed is None:
            return {}
        if allowed is _AI_CONTENT and (known := OPERATIONS.get(spans.operation_name(details))) is not None:
            allowed = known.allowed
        fields_of_phase = content.END if line.get("phase") == "end" else content.START
        return content.capture(details, fields_of_phase, self.content_policy, allowed, structured=structured)

    def _rename_cache_write(self, attributes: Attributes) -> None:
        attributes[names.LEGACY_USAGE_CACHE_CREATION] = attributes[names.USAGE_CACHE_WRITE]
        if self.profile == "legacy":
            del attributes[names.USAGE_CACHE_WRITE]


def _with_user(line: Line, ours: Attributes, limit: int) -> Attributes:
    given = mapping(line, "attributes")
    if not given:
        return ours
    merged: Attributes = {}
    dropped = 0
    for key, value in given.items():
        if value is None or key in _RESERVED or (key in ours and key.startswith(_OURS)):
            continue
        if len(merged) < limit:
            merged[key] = value
        else:
            dropped += 1
    if dropped:
        merged[names.ATTRIBUTES_DROPPED] = dropped
    for key, value in ours.items():
        merged.setdefault(key, value)
    return merged
