"""Registries that cannot be used say what is wrong: file, script, key, expected, found."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.tools import RegistryError, load_registry


def problems(tmp_path: Path, document: Any) -> list[str]:
    """What loading it complains about, without the file's name."""
    path = tmp_path / "registry.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(RegistryError) as caught:
        load_registry(path)
    assert str(caught.value).splitlines() == [f"{path}: {problem}" for problem in caught.value.problems]
    return [str(problem) for problem in caught.value.problems]


def entry_problems(tmp_path: Path, **entry: Any) -> list[str]:
    """What is wrong with one script."""
    return problems(tmp_path, {"version": 1, "scripts": {"s": {"argv": ["true"], **entry}}})


def test_a_whole_entry(tmp_path: Path) -> None:
    """Every key is taken over, and defaults are those of the file."""
    (tmp_path / "lint.py").write_text("")
    document = {
        "version": 1,
        "defaults": {"timeout_s": 5, "retries": 1},
        "scripts": {"lint": {"path": "lint.py", "timeout_s": 7, "retry_on": ["TIMEOUT"], "sandbox": {"write": []}}},
    }
    (tmp_path / "registry.json").write_text(json.dumps(document))

    script = load_registry(tmp_path / "registry.json").scripts["lint"]

    assert (script.path, script.timeout_s, script.retries, script.retry_on) == ("lint.py", 7, 1, ("TIMEOUT",))
    assert script.folder == tmp_path
    assert script.sandbox == {"write": []}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"timeout_s": -3}, "script 's': timeout_s: expected a number of seconds above 0, at most 86400, found -3"),
        ({"timeout_s": True}, "script 's': timeout_s: expected a number of seconds above 0, at most 86400, found True"),
        ({"retries": 1.5}, "script 's': retries: expected a whole number from 0 to 20, found 1.5"),
        ({"environment": ["A=B"]}, "script 's': environment: expected a list of names of environment variables, found a list"),
        ({"argv": []}, "script 's': argv: expected a list of texts, the program first, found a list"),
        ({"inputs_by": "argv"}, "script 's': inputs_by: expected 'stdin' or 'environment', found 'argv'"),
        ({"sandbox": {"network": "no"}}, "script 's': sandbox.network: expected true or false, found 'no'"),
        (
            {"sandbox": {"disk": []}},
            "script 's': sandbox.disk: expected one of read, write, network, attributes, best_effort, found a list",
        ),
        (
            {"input_schema": {"properties": {"n": {"type": "int"}}}},
            "script 's': input_schema.properties.n.type: expected one or a list of"
            " string, number, integer, boolean, null, array, object, found 'int'",
        ),
        (
            {"input_schema": {"pattern": "(?=a)"}},
            "script 's': input_schema.pattern: expected a pattern in RE2 syntax, found '(?=a)'",
        ),
        ({"path": "x"}, "script 's': path: expected either path or argv, found 'both'"),
    ],
)
def test_values_that_cannot_be_used(tmp_path: Path, entry: dict[str, Any], said: str) -> None:
    """Each is named with what was expected."""
    assert said in entry_problems(tmp_path, **entry)


def test_unknown_keys_and_keywords_are_errors(tmp_path: Path) -> None:
    """A rule that nobody reads is worse than none; all of it is said at once."""
    said = entry_problems(tmp_path, timeout=3, input_schema={"format": "email", "allOf": []})

    assert [line.partition(": expected")[0] for line in said] == [
        "script 's': timeout",
        "script 's': input_schema.format",
        "script 's': input_schema.allOf",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "file: expected JSON in UTF-8, found "),
        ("[]", "file: expected a JSON object, found a list"),
        ('{"version":1,"scripts":{"a":{"argv":["x"]},"a":{"argv":["y"]}}}', "a: expected one entry, found 'two of that name'"),
        ('{"version":2,"scripts":{}}', "version: expected 1, found 2"),
        ('{"version":1}', "scripts: expected an object, found nothing"),
        ('{"version":1,"scripts":{"a":3}}', "script 'a': entry: expected an object, found 3"),
        ('{"version":1,"scripts":{"../a":{"argv":["x"]}}}', "script '../a': id: expected letters, digits"),
        ('{"version":1,"scripts":{},"defaults":{"path":"x"}}', "defaults.path: expected one of "),
        ('{"version":1,"scripts":{"a":{"argv":["x"],"timeout_s":NaN}}}', "file: expected JSON in UTF-8, found 'NaN is no JSON'"),
        ("[" * 100_000, "file: expected JSON in UTF-8, found "),
    ],
)
def test_files_that_are_no_registry(tmp_path: Path, text: str, said: str) -> None:
    """Broken JSON, doubled keys, other versions."""
    assert problems(tmp_path, text)[0].startswith(said)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(RegistryError, match=r"nowhere\.json: file: expected a file that can be read"):
        load_registry(tmp_path / "nowhere.json")


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    """Found when the registry is loaded, not when it is needed."""
    assert "expected a file" in problems(tmp_path, {"version": 1, "scripts": {"s": {"path": "gone.sh"}}})[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["path", "argv", "timeout_s", "environment", "sandbox", "input_schema", "retry_on", "cwd", "x"])


@settings(deadline=None)
@given(entry=st.dictionaries(KEYS, JSON, max_size=5), defaults=JSON, scripts_too=JSON)
def test_any_json_is_a_registry_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, entry: dict[str, Any], defaults: Any, scripts_too: Any
) -> None:
    """Whatever stands in the file, nothing but RegistryError is raised."""
    path = tmp_path_factory.mktemp("registry") / "registry.json"
    for document in ({"version": 1, "defaults": defaults, "scripts": {"s": entry}}, {"version": 1, "scripts": scripts_too}):
        path.write_text(json.dumps(document))
        with contextlib.suppress(RegistryError):
            load_registry(path)
