"""The vocabulary: what every part of the package relies on."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.vocabulary import actions
from otel_agentlog.vocabulary.lines import LINE_TYPES, timestamp

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_YEAR_10000_NS = 253_402_300_800 * 10**9


@given(st.integers() | st.integers(-(2**80), 2**80))
def test_any_time_is_written_in_one_form(time_ns: int) -> None:
    """Whatever the clock says, the timestamp has the form that sorts as text."""
    assert _RFC_3339.fullmatch(timestamp(time_ns))


@given(st.integers(0, _YEAR_10000_NS - 1))
def test_a_time_keeps_every_nanosecond(time_ns: int) -> None:
    """Read back, the timestamp is the same time."""
    text = timestamp(time_ns)
    second = datetime.fromisoformat(f"{text[:19]}+00:00")

    assert int(second.timestamp()) * 10**9 + int(text[20:29]) == time_ns


@given(st.integers(), st.integers())
def test_timestamps_sort_as_times_do(one: int, other: int) -> None:
    """Text order is the order in time, also beyond what can be written."""
    assert timestamp(min(one, other)) <= timestamp(max(one, other))


def test_absurd_times_are_the_nearest_that_can_be_written() -> None:
    """A clock before 1970 or past 9999 gives the first and the last timestamp there is."""
    assert timestamp(-1) == "1970-01-01T00:00:00.000000000Z"
    assert timestamp(_YEAR_10000_NS) == "9999-12-31T23:59:59.999999999Z"


def test_actions_follow_from_type_and_outcome() -> None:
    """The table of ``docs/format.md``, for whoever closes what a dead process left open."""
    found = {
        kind: (actions.start_action(kind), actions.end_action(kind, "interrupted"))
        for kind in ("task", "step", "ai_request", "span")
    }

    assert found == {
        "task": ("task_started", "task_interrupted"),
        "step": ("step_execution_started", "step_execution_interrupted"),
        "ai_request": ("api_request_sent", "api_request_interrupted"),
        "span": (None, None),
    }
    assert actions.end_action("ai_response", "completed") == "api_response_received"
    assert actions.end_action("tool_result", "failed") == "tool_run_failed"


GOLDEN = Path(__file__).parent / "store" / "golden" / "v1"
SCHEMA = json.loads((files("otel_agentlog.store") / "schemas" / "event-line.schema.json").read_text())


def _golden_lines() -> Iterator[dict[str, Any]]:
    for path in sorted(GOLDEN.glob("*/03-agent-output.jsonl")):
        for data in path.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):
                line = json.loads(data)
                if isinstance(line, dict) and (line.get("type"), line.get("phase")) in LINE_TYPES:
                    yield line


def test_every_type_of_the_format_has_its_keys() -> None:
    """The classes of lines name the types that the schema names."""
    assert {kind for kind, _ in LINE_TYPES} == set(SCHEMA["properties"]["type"]["enum"])


def test_the_keys_of_lines_are_those_that_are_written() -> None:
    """No line of the golden folders has a key that its class does not name, and each common key is one of the schema's."""
    known = (
        set(SCHEMA["properties"])
        | {key for rule in SCHEMA["allOf"] for key in rule["then"].get("properties", {})}
        | {"content_on", "profile", "courier", "sends", "elsewhere"}
    )
    for line_type in LINE_TYPES.values():
        assert set(get_type_hints(line_type)) <= known

    unknown = {
        (line["type"], key)
        for line in _golden_lines()
        for key in set(line) - set(get_type_hints(LINE_TYPES[line["type"], line.get("phase")]))
    }
    assert unknown == set()


HOME = Path(__file__).parents[1]
FORMER_WORDS = {
    "courier": "delivery worker, or process lock",
    "lane": "signal queue",
    "hands": "workers",
    "parcel": "items",
    "ticket": "items",
    "shelf": "source",
    "gist": "extract",
    "presence": "process lock",
    "asked": "request, prompt, query, or what it is",
    "asking": "the question, or the call with a timeout",
    "told": "given, shown, reported, or what it is",
    "front": "api, server, or newest",
    "door": "lazy export",
    "house": "package",
}
"""Words that say nothing to who does not know the code, and what stands for each (the glossary of ``docs/architecture.md``)."""
KNOWN_NAMES = {
    "courier": "a key of process lines on disk",
    "_hands_over": "what a job does with the end of a task",
    "asked": "a public method of AI calls",
    "REQUEST_PRESENCE_PENALTY": "a name of the GenAI conventions",
}


def _words(name: str) -> set[str]:
    """The words of a name, in the singular: ``HttpFront`` → http, front. The product ClickHouse is one."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name.replace("ClickHouse", "Clickhouse"))
    return {word.lower() for word in words} | {word.lower().removesuffix("s") for word in words}


def _names(tree: ast.AST) -> Iterator[str]:
    """The names that code gives: of classes, functions, parameters, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def test_names_are_of_the_fields_words() -> None:
    """No module, class, function or variable of the package has a former word in its name."""
    paths = [path for path in (HOME / "otel_agentlog").rglob("*") if path.suffix in (".py", ".json", ".js", ".css")]
    found = {(path.name, path.stem) for path in paths}
    found |= {(path.name, name) for path in paths if path.suffix == ".py" for name in _names(ast.parse(path.read_text()))}

    wrong = {f"{file}: {name}": FORMER_WORDS.keys() & _words(name) for file, name in found if name not in KNOWN_NAMES}
    assert {where: words for where, words in wrong.items() if words} == {}


@pytest.mark.parametrize("folder", ["otel_agentlog", "tests", "docs", "examples", "benchmarks"])
def test_texts_have_no_former_nouns(folder: str) -> None:
    """Nor does a docstring, comment or page speak of couriers and parcels; verbs such as told are plain English there."""
    nouns = re.compile(r"(?i)\b(courier|parcel|shelf|gist)s?\b|\bfront door\b|\bknot\b")
    on_disk = re.compile(r"courier[\"`=>,:)]|\.courier|courier: str|courier = |`courier|if courier else")
    files = [path for path in (HOME / folder).rglob("*") if path.suffix in (".py", ".md") and path != Path(__file__)]
    lines = (
        (path, number, line)
        for path in files
        if "decisions" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "→" not in line  # which says what stands for it
    )
    assert [f"{path}:{number}" for path, number, line in lines if nouns.search(line) and not on_disk.search(line)] == []
