"""The schemas that ship, and our checker against the reference one."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog
from otel_agentlog.store.folder.lines import LineReader
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.validation.schema import SCHEMA_NAMES, checker, compiled, schema
from tests.store.durability.faults import EVENTS
from tests.store.golden_writer import HERE as GOLDEN
from tests.store.records import TASK

PACKAGE = Path(otel_agentlog.__file__).parent


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_our_schemas_are_json_schemas(name: str) -> None:
    """Of draft 2020-12, in the package, and understood by our checker."""
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    checker(name)


def test_a_schema_that_says_more_than_we_understand_is_refused() -> None:
    """Never is a schema read more loosely than it says."""
    with pytest.raises(ValueError, match="'oneOf' is not understood"):
        compiled({"type": "object", "properties": {"a": {"oneOf": []}}})


SAMPLES: dict[str, list[Any]] = {
    "metadata": [task.metadata() for task in list_tasks(GOLDEN)],
    "input": [task.input() for task in list_tasks(GOLDEN) if task.input()],
    "final-result": [task.final_result() for task in list_tasks(GOLDEN) if task.final_result()],
    "webhook-line": list(TaskReader(GOLDEN / TASK).webhook_flow()),
    "event-line": [line for task in list_tasks(GOLDEN) for line in task.events()],
    "control-line": list(TaskReader(GOLDEN / TASK).control()),
}

scalars = st.none() | st.booleans() | st.integers(-2, 300) | st.floats(-2, 2) | st.sampled_from([1.0, 0.0]) | st.text(max_size=4)
words = st.sampled_from(
    ["start", "end", "completed", "failed", "task", "log", "process", "ai_response", "0" * 16, "ab" * 16, "a-1", "ERROR"]
)
values = st.recursive(
    scalars | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@st.composite
def instances(draw: st.DrawFn) -> tuple[str, Any]:
    """A schema's name and a real document with some of its parts dropped, replaced or added; or anything at all."""
    name = draw(st.sampled_from(SCHEMA_NAMES))
    if draw(st.integers(0, 19)) == 0:
        return name, draw(values)
    document = copy.deepcopy(draw(st.sampled_from(SAMPLES[name])))
    for _ in range(draw(st.integers(0, 4))):
        part = document
        while True:
            known = sorted(set(part) | set(schema(name)["properties"])) if isinstance(part, dict) else range(len(part))
            key = draw(st.sampled_from(list(known)))
            below = part.get(key) if isinstance(part, dict) else part[key]
            if isinstance(below, (dict, list)) and below and draw(st.booleans()):
                part = below
                continue
            break
        if isinstance(part, dict) and draw(st.integers(0, 3)) == 0:
            part.pop(key, None)
        else:
            part[key] = draw(values)
    return name, document


VALIDATORS = {name: jsonschema.Draft202012Validator(schema(name)) for name in SCHEMA_NAMES}


@settings(max_examples=300, deadline=None)
@given(instances())
def test_our_checker_agrees_with_jsonschema(instance: tuple[str, Any]) -> None:
    """On whether a document is valid, and on where it is not."""
    name, document = instance

    ours = list(checker(name)(document))
    theirs = list(VALIDATORS[name].iter_errors(document))

    assert bool(ours) == bool(theirs), (ours, theirs)
    assert {mismatch.path for mismatch in ours if mismatch.found != "nothing"} == {
        path_of(error) for error in flat(theirs) if error.validator != "required"
    }


def flat(errors: list[Any]) -> list[Any]:
    """Errors with those inside conditions instead of the conditions."""
    return [inner for error in errors for inner in (flat(error.context) if error.context else [error])]


def path_of(error: Any) -> str:
    """A path in our spelling."""
    path = ""
    for step in error.absolute_path:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path


def test_every_line_of_the_golden_folders_fits_its_schema() -> None:
    """By jsonschema too."""
    for name, documents in SAMPLES.items():
        for document in documents:
            VALIDATORS[name].validate(document)
            assert list(checker(name)(document)) == []


def test_validation_needs_nothing_but_the_core() -> None:
    """There is one checker, jsonschema_rs in one module: the other lists what a registry may use. jsonschema is for tests."""
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob("*.py")}

    assert [path for path, source in sources.items() if re.search(r"\b(import|from) jsonschema\b", source)] == []
    assert [path for path, source in sources.items() if "import jsonschema_rs" in source] == ["store/validation/schema.py"]
    assert '"jsonschema-rs>=' in (PACKAGE.parent / "pyproject.toml").read_text().partition("[project.optional")[0]
    assert {path for path, source in sources.items() if '"exclusiveMaximum"' in source} == {
        "store/validation/schema.py",
        "tools/scripts/schema.py",
    }


def test_recording_does_not_load_it(tmp_path: Path) -> None:
    """It is for `agentlog validate` and for scripts; a task that is recorded costs nothing for it."""
    program = """
import sys, otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1])
with agentlog.task("t"), agentlog.tool("x"):
    pass
agentlog.shutdown()
print([name for name in sys.modules if name.endswith(("validation.schema", "scripts.schema", "jsonschema_rs"))])
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"


def test_lines_can_be_validated_while_they_are_read() -> None:
    """A schema's check is a function of one value."""
    data = (GOLDEN / TASK / EVENTS).read_bytes()
    check = checker("event-line")

    assert [mismatch for line in LineReader(lambda complain: [data]) for mismatch in check(line)] == []


TREE = {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": ["array", "object", "null"], "items": {"$ref": "#/$defs/tree"}}}}


@pytest.mark.parametrize("levels", [100, 254, 255, 256, 257, 600])
@pytest.mark.parametrize("rule", [{}, {"type": "object"}, {"required": ["a"]}, {"const": [1]}, {"maxItems": 0}, TREE])
def test_a_value_of_any_depth_is_checked(rule: dict[str, Any], levels: int) -> None:
    """More levels than the library takes make no difference."""
    value: Any = None
    for _ in range(levels):
        value = [value]

    assert bool(compiled(rule)(value)) == (not jsonschema.Draft202012Validator(rule).is_valid([None]))


@pytest.mark.parametrize("value", [10**30, 10**400, -(2**64), float("nan"), float("inf"), "\ud800", {"\udfff": 1}, [True], 1e308])
@pytest.mark.parametrize("rule", [{"const": "x"}, {"type": "boolean"}, {"pattern": "x", "enum": [1]}])
def test_a_value_of_any_kind_gives_mismatches(rule: dict[str, Any], value: Any) -> None:
    """Numbers of any size, what Python reads as JSON although it is none, and texts that are not Unicode."""
    assert next(mismatch.path for mismatch in compiled({"items": {"additionalProperties": rule}})([{"a": value}])) == "[0].a"


@pytest.mark.parametrize("value", [10**30, 2**64, 10**400, 1e308])
def test_numbers_are_compared_whatever_their_size(value: float) -> None:
    """Beyond 64 bits too."""
    assert compiled({"maximum": 2**63})(value)
    assert compiled({"minimum": -(2**63)})(-value)
    assert not compiled({"minimum": 2**63})(value)


def test_texts_are_matched_in_linear_time() -> None:
    """A pattern that takes exponential time elsewhere, on a text that takes it there."""
    began = time.process_time()

    assert compiled({"pattern": "^(a+)+$"})("a" * 100_000 + "!")
    assert time.process_time() - began < 5


def test_of_a_large_value_the_first_mismatch_is_reported() -> None:
    """A million mismatches would take gigabytes."""
    check = compiled({"items": {"type": "string"}})

    assert len(check([1] * 10_000)) == 10_000
    assert check(["a", *[1] * 1_000_000]) == [("[1]", "string", "1")]


def test_of_a_part_of_another_type_nothing_more_is_reported() -> None:
    """Its limits do not apply to it."""
    check = compiled({"properties": {"a": {"type": ["string", "null"], "enum": ["x", "y"]}}, "additionalProperties": False})

    assert check({"a": 3, "b": 4}) == [("a", "string or null", "3"), ("", "no such name", "b")]
    assert check({"a": "z"}) == [("a", "one of x, y", '"z"')]


def test_each_unknown_name_is_reported() -> None:
    """Whether any other is known or not."""
    for known, rest in (({}, ["a", "b", "c"]), ({"a": {}}, ["b", "c"])):
        check = compiled({"properties": known, "additionalProperties": False})
        assert check({"a": 1, "b": 2, "c": 3}) == [("", "no such name", name) for name in rest]
    assert compiled({"items": {"additionalProperties": False}})([{}, {"a": 1}]) == [("[1]", "no such name", "a")]


@pytest.mark.parametrize(
    "bad",
    [
        {"minimun": 3},
        {"properties": {"a": {"type": "text"}}},
        {"$ref": "#/$defs/none"},
        {"$ref": "http://localhost/x"},
        {"then": False},
    ],
)
def test_a_schema_that_is_wrong_is_refused(bad: dict[str, Any]) -> None:
    """When it is compiled; nothing is fetched for it."""
    with pytest.raises(ValueError, match=r"minimun|anyOf|none|False|Retrieval is disabled"):
        compiled(bad)
