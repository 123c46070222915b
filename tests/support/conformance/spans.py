"""Checks telemetry against the GenAI conventions, by the facts in ``tests/data/semconv_genai_table.json``.

What is checked has the plain shapes of ``otel_agentlog.testing.otlp.decode``, of which these keys matter:

- span: ``{"name", "kind": "CLIENT", "attributes": {…}, "status": {"code": "UNSET"|"OK"|"ERROR"}}``;
- metric: ``{"name", "instrument": "histogram"|"counter"|"updowncounter", "unit", "points": [{"attributes", "boundaries": […]}]}``
  (points of exponential histograms have a ``scale`` instead of boundaries);
- log record: ``{"event_name", "severity_number", "body", "attributes": {…}}``.

Integers must be ``int`` and doubles ``float`` in Python. ``semconv_genai_v0_1_0.json`` has what is different in the newest
release. The profiles ``legacy`` and ``both`` also allow the names of the past.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.conformance.content import CONTENT, content_problem

TABLE = Path(__file__).parents[2] / "data" / "semconv_genai_table.json"
NEWEST = TABLE.with_name("semconv_genai_v0_1_0.json")
"""What the first release of the conventions has otherwise; ``null`` for what it has no longer."""

Plain = Mapping[str, Any]


class Violation(NamedTuple):
    """One thing that is not as the conventions say."""

    rule: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.rule}]"


_LEGACY_ATTRIBUTES = {
    "gen_ai.system": {"type": "string"},
    "gen_ai.usage.cache_creation.input_tokens": {"type": "int"},
    "gen_ai.token.type": {"type": "string"},
}
_ALIASES = {"tool": "gen_ai.tool.name", "skill": "gen_ai.skill.name", "resource": "gen_ai.skill.resource.name"}
_ONLY_TRUE = ("gen_ai.request.stream", "gen_ai.conversation.compacted")
_PARTS_OF = {
    "gen_ai.usage.input_tokens": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"),
    "gen_ai.usage.output_tokens": ("gen_ai.usage.reasoning.output_tokens",),
}
_TYPES: dict[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "enum(open)": lambda value: isinstance(value, str),
    "template[string]": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "double": lambda value: isinstance(value, float),
    "boolean": lambda value: isinstance(value, bool),
    "string[]": lambda value: isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value),
    "any": lambda value: True,
}
_SEVERITIES = {
    "gen_ai.client.inference.operation.details": 5,
    "gen_ai.client.inference.exception": 13,
    "gen_ai.client.operation.exception": 13,
}

_OWN_LABELS = {
    "gen_ai.agent.name", "gen_ai.workflow.name", "gen_ai.request.model", "gen_ai.provider.name", "gen_ai.operation.name",
    "error.type", "agentlog.outcome", "agentlog.component", "agentlog.error.category", "agentlog.signal", "agentlog.reason",
}  # fmt: skip
_OWN_METRICS = {
    "agentlog.task.duration": ("histogram", "s"),
    "agentlog.tasks.active": ("updowncounter", "{task}"),
    "agentlog.tasks": ("counter", "{task}"),
    "agentlog.cost": ("counter", "{USD}"),
    "agentlog.cost.unknown": ("counter", "{call}"),
    "agentlog.errors": ("counter", "{error}"),
    "agentlog.retries": ("counter", "{attempt}"),
    "agentlog.sdk.items.recorded": ("counter", "{item}"),
    "agentlog.sdk.items.delivered": ("counter", "{item}"),
    "agentlog.sdk.items.dropped": ("counter", "{item}"),
}


class Checker:
    """Tells what is wrong with spans, metrics and log records."""

    def __init__(self, profile: str = "latest") -> None:
        table = json.loads(TABLE.read_text(encoding="utf-8"))
        self._attributes: dict[str, Any] = dict(table["attributes"])
        self._spans: dict[str, Any] = table["spans"]
        self._metrics: dict[str, Any] = dict(table["metrics"])
        self._events: dict[str, Any] = table["events"]
        self._past = profile in ("legacy", "both")
        if profile in ("latest", "both"):
            self._take_newest(json.loads(NEWEST.read_text(encoding="utf-8")), keep=profile == "both")
        self._inference = self._spans["gen_ai.client.inference"]
        if self._past:
            self._attributes.update(_LEGACY_ATTRIBUTES)
            self._metrics.update(self._legacy_metrics())

    def _take_newest(self, newest: dict[str, Any], *, keep: bool) -> None:
        """Take over what the newest release changed; ``keep`` what it has no longer, but for spans, which have one form."""
        for kind, known in (("spans", self._spans), ("metrics", self._metrics), ("events", self._events)):
            for name, changes in newest[kind].items():
                if changes is not None:
                    known[name] = {**known.get(name, {}), **changes}
                elif kind == "spans" or not keep:
                    known.pop(name)
        if keep:
            self._spans["gen_ai.invoke_agent.internal"]["attrs"]["gen_ai.workflow.name"] = ["conditionally_required", ""]

    def check(self, spans: Iterable[Plain] = (), metrics: Iterable[Plain] = (), records: Iterable[Plain] = ()) -> list[Violation]:
        """Every violation in all of these."""
        found = [violation for span in spans for violation in self.span(span)]
        found += [violation for metric in metrics for violation in self.metric(metric)]
        return found + [violation for record in records for violation in self.record(record)]

    # -- spans ------------------------------------------------------------------------------------------------------------

    def span(self, span: Plain) -> list[Violation]:
        """What is wrong with a span; one that carries neither ``gen_ai.*`` nor ``agentlog.*`` is not ours to judge."""
        attributes, where = span["attributes"], f"span {span['name']!r}"
        if not any(key.startswith(("gen_ai.", "agentlog.")) for key in attributes):
            return []
        found = [*self._known(attributes, where), *self._outcome(span, where)]
        found += self._content(attributes, where, structured=False)
        operation = attributes.get("gen_ai.operation.name")
        spec = self._spec(operation, span["kind"])
        if spec is not None:
            found += self._against(spec, span, where)
        return found

    def _spec(self, operation: Any, kind: str) -> dict[str, Any] | None:
        specs = [spec for spec in self._spans.values() if operation in spec["ops"]]
        fitting = [spec for spec in specs if kind in spec["kind"]]
        return next(iter(fitting or specs), None)

    def _outcome(self, span: Plain, where: str) -> Iterator[Violation]:
        code = (span.get("status") or {}).get("code", "UNSET")
        if code == "OK":
            yield Violation("status", where, "the status of a success is left unset, found OK")
        if (code == "ERROR") != ("error.type" in span["attributes"]):
            found = span["attributes"].get("error.type")
            yield Violation(
                "error_type", where, f"error.type must stand exactly on failed spans, found {found!r} with status {code}"
            )

    def _against(self, spec: dict[str, Any], span: Plain, where: str) -> Iterator[Violation]:
        attributes = span["attributes"]
        if span["kind"] not in spec["kind"]:
            yield Violation("kind", where, f"expected {' or '.join(spec['kind'])}, found {span['kind']}")
        expected = self._names(spec, attributes)
        if span["name"] != expected:
            yield Violation("name", where, f"expected {expected!r}")
        defined = dict(spec["attrs"])
        for refinement in spec.get("refinements", {}).values():
            defined.update(refinement["attrs"])
        for key, (level, _) in defined.items():
            if level == "required" and key not in attributes:
                yield Violation("missing", where, f"required attribute {key}")
        for key in attributes:
            foreign = key.startswith("gen_ai.") and key in self._attributes and key not in {*defined, *_LEGACY_ATTRIBUTES}
            if key in spec.get("must_not", ()) or foreign:
                yield Violation("not_on_span", where, f"{key} is not for this kind of span")
        yield from self._conditions(attributes, where, spec)

    def _conditions(self, attributes: Plain, where: str, spec: dict[str, Any]) -> Iterator[Violation]:
        def broken(message: str) -> Violation:
            return Violation("condition", where, message)

        if "server.address" in attributes and "server.port" in spec["attrs"] and "server.port" not in attributes:
            yield broken("server.port is required where server.address is set")
        for key in _ONLY_TRUE:
            if attributes.get(key) is False:
                yield broken(f"{key} is only ever true")
        if attributes.get("gen_ai.request.choice.count") == 1:
            yield broken("gen_ai.request.choice.count is told only where it is not 1")
        if "gen_ai.response.time_to_first_chunk" in attributes and not attributes.get("gen_ai.request.stream"):
            yield broken("time to first chunk is for streams")
        for whole, parts in _PARTS_OF.items():
            if whole in attributes and sum(attributes.get(part, 0) for part in parts) > attributes[whole]:
                yield broken(f"{' + '.join(parts)} are parts of {whole}")

    @staticmethod
    def _names(spec: dict[str, Any], attributes: Plain) -> str:
        template = spec["name"]
        if attributes.get("process.executable.name") == attributes.get("gen_ai.tool.name"):
            # Ours (docs/conventions.md): "execute_tool git", not "execute_tool git git".
            attributes = {key: value for key, value in attributes.items() if key != "process.executable.name"}
        refinements = spec.get("refinements")
        if refinements:
            command = "process.executable.name" in attributes
            resource = "gen_ai.skill.resource.name" in attributes
            chosen = "command" if command else "read_skill_resource" if resource else "load_skill"
            template = refinements[chosen]["name"]
        for alternative in template.split(" | "):
            keys = [_ALIASES.get(key, key) for key in re.findall(r"\{([^}]+)\}", alternative)]
            if all(key in attributes for key in keys):
                values = iter(str(attributes[key]) for key in keys)
                return re.sub(r"\{[^}]+\}", lambda match: next(values), alternative)
        return str(attributes["gen_ai.operation.name"])

    # -- attributes -------------------------------------------------------------------------------------------------------

    def _known(self, attributes: Plain, where: str) -> Iterator[Violation]:
        for key, value in attributes.items():
            fact = self._attributes.get("gen_ai.prompt.variable" if key.startswith("gen_ai.prompt.variable.") else key)
            if fact is None:
                if key.startswith("gen_ai."):
                    yield Violation("unknown_attribute", where, f"{key} is not in the registry")
            elif not _TYPES[fact["type"]](value):
                yield Violation("type", where, f"{key} must be {fact['type']}, found {type(value).__name__} {value!r}")

    @staticmethod
    def _content(attributes: Plain, where: str, *, structured: bool) -> Iterator[Violation]:
        for key in CONTENT.keys() & attributes.keys():
            problem = content_problem(key, attributes[key], structured=structured)
            if problem:
                yield Violation("content", where, f"{key}: {problem}")

    # -- metrics ----------------------------------------------------------------------------------------------------------

    def _legacy_metrics(self) -> dict[str, Any]:
        tokens = self._metrics["gen_ai.client.inference.operation.input_tokens"]
        chunk = self._metrics["gen_ai.client.inference.time_to_first_chunk"]
        return {
            "gen_ai.client.token.usage": {**tokens, "attrs": {**tokens["attrs"], "gen_ai.token.type": ["required", ""]}},
            "gen_ai.client.operation.time_to_first_chunk": chunk,
            "gen_ai.client.operation.time_per_output_chunk": chunk,
        }

    def metric(self, metric: Plain) -> list[Violation]:
        """What is wrong with a metric and its points."""
        name, where = metric["name"], f"metric {metric['name']}"
        if name in _OWN_METRICS:
            instrument, unit = _OWN_METRICS[name]
            spec: dict[str, Any] = {
                "instrument": instrument,
                "unit": unit,
                "attrs": {key: ["recommended", ""] for key in _OWN_LABELS},
            }
        elif name in self._metrics:
            spec = self._metrics[name]
        else:
            ours = name.startswith(("gen_ai.", "agentlog."))
            return [Violation("unknown_metric", where, "no such metric")] if ours else []
        found = [
            Violation(rule, where, f"expected {spec[rule]!r}, found {actual!r}")
            for rule, actual in (("instrument", metric["instrument"]), ("unit", metric["unit"]))
            if actual != spec[rule]
        ]
        return found + [violation for point in metric["points"] for violation in self._point(spec, name, point, where)]

    def _point(self, spec: dict[str, Any], name: str, point: Plain, where: str) -> Iterator[Violation]:
        labels = point["attributes"]
        yield from self._known(labels, where)
        if (expected := spec.get("boundaries")) and "scale" not in point and point.get("boundaries") != expected:
            yield Violation("boundaries", where, f"expected {expected}, found {point.get('boundaries')}")
        for key, (level, _) in spec["attrs"].items():
            if level == "required" and key not in labels:
                yield Violation("missing", where, f"required label {key}")
        for key in labels.keys() - spec["attrs"].keys():
            yield Violation("label", where, f"{key} is not a label of this metric")
        if "server.address" in labels and "server.port" not in labels:
            yield Violation("condition", where, "server.port is required where server.address is set")
        if name.endswith(("operation.input_tokens", "operation.output_tokens")) and "error.type" in labels:
            yield Violation("condition", where, "token histograms do not count failed calls")
        inference = labels.get("gen_ai.operation.name") in self._inference["ops"]
        if name == "gen_ai.client.operation.duration" and not self._past and inference:
            yield Violation("condition", where, "inferences have a metric of their own")

    # -- log records ------------------------------------------------------------------------------------------------------

    def record(self, record: Plain) -> list[Violation]:
        """What is wrong with a log record; a plain one may carry no ``gen_ai.*`` that is unknown."""
        name, attributes = record.get("event_name") or "", record["attributes"]
        where = f"event {name}" if name else "log record"
        found = [*self._known(attributes, where), *self._content(attributes, where, structured=True)]
        if not name.startswith("gen_ai."):
            return found
        if name not in self._events:
            return [*found, Violation("unknown_event", where, "no such event")]
        if (severity := _SEVERITIES.get(name)) and record["severity_number"] != severity:
            found.append(Violation("severity", where, f"expected {severity}, found {record['severity_number']}"))
        if record.get("body") is not None:
            found.append(Violation("body", where, "a GenAI event has no body"))
        spec = self._events[name]["attrs"]
        defined = self._inference["attrs"] if isinstance(spec, str) else spec
        found += [
            Violation("missing", where, f"required attribute {key}")
            for key, (level, _) in defined.items()
            if level == "required" and key not in attributes
        ]
        if name.endswith(".exception") and not {"exception.type", "exception.message"} & attributes.keys():
            found.append(Violation("missing", where, "exception.type or exception.message"))
        return found
