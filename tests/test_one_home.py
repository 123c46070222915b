"""A fact has one home: each test here finds a second one."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from otel_agentlog.export.semconv import names
from otel_agentlog.query import GROUPS, ORDERS
from otel_agentlog.tools.replay import comparing
from otel_agentlog.vocabulary.actions import END_TYPE
from tests.support.sources import modules


@pytest.fixture(autouse=True, scope="module")
def _no_trees_left() -> Iterator[None]:
    yield
    modules.cache_clear()


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node, with the file it stands in, as ``vocabulary/states.py``."""
    return ((each.place, node) for each in modules() for node in each.nodes)


def _statements() -> Iterator[tuple[str, ast.stmt]]:
    """The same for what stands directly in a module."""
    return ((each.place, node) for each in modules() for node in each.tree.body)


def _words(node: ast.AST) -> set[str]:
    """The strings and attribute names that a collection or boolean expression is made of, in lower case."""
    parts = list(ast.iter_child_nodes(node))
    found = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return {word.lower() for word in found | {part.attr for part in parts if isinstance(part, ast.Attribute)}}


def _where(words: set[str]) -> set[str]:
    """The modules in which one collection has all these words."""
    return {name for name, node in _nodes() if isinstance(node, (ast.Set, ast.Tuple, ast.List)) and words <= _words(node)}


def test_which_outcomes_count_as_failed() -> None:
    """``FAILED`` and ``UNSUCCESSFUL`` of the vocabulary; no other module lists both outcomes."""
    assert _where({"failed", "timed_out"}) <= {"vocabulary/states.py"}


def test_all_outcomes() -> None:
    """``Outcome`` and ``ENDED``: no other module makes a set of all outcomes."""
    made = {
        name
        for name, node in _nodes()
        if isinstance(node, ast.comprehension) and isinstance(node.iter, ast.Name) and node.iter.id == "Outcome" and not node.ifs
    }

    # The vocabulary makes the actions of all of them; a message of outcome.py lists them.
    assert made <= {"vocabulary/states.py", "vocabulary/actions.py", "record/operations/outcome.py"}


def test_all_states() -> None:
    """``STATES``: no other module makes a collection of all states."""
    made = {
        name
        for name, node in _nodes()
        if isinstance(node, ast.comprehension) and isinstance(node.iter, ast.Name) and node.iter.id == "State" and not node.ifs
    }

    # An operation finds the word of its state by the state itself.
    assert made == {"vocabulary/states.py", "record/operations/operation.py"}


def test_levels_of_errors() -> None:
    """``ERROR_LEVELS`` of the vocabulary; no other module lists just these two."""
    pairs = {
        name
        for name, node in _nodes()
        if isinstance(node, (ast.Set, ast.Tuple, ast.List)) and _words(node) == {"error", "critical"}
    }

    assert pairs == set()


def test_types_of_end_lines() -> None:
    """The vocabulary's kinds of operation say which type ends which; no other module has such a table."""
    tables = {
        name
        for name, node in _nodes()
        if isinstance(node, ast.Dict)
        and END_TYPE.items()
        <= {
            key.value: value.value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
        }.items()
    }

    assert tables == set()


def test_sort_orders() -> None:
    """The index sorts, so it names the orders; everybody else asks it."""
    homes = {
        name
        for name, node in _nodes()
        if isinstance(node, (ast.Dict, ast.Set, ast.Tuple, ast.List))
        and set(ORDERS) <= {part.value for part in ast.iter_child_nodes(node) if isinstance(part, ast.Constant)}
    }

    assert len(homes) == 1


def test_group_keys() -> None:
    """What tasks can be grouped by is listed once."""
    assert len(_where(set(GROUPS)) | _dicts_with(set(GROUPS))) == 1


def _dicts_with(keys: set[str]) -> set[str]:
    return {
        name
        for name, node in _nodes()
        if isinstance(node, ast.Dict) and keys <= {key.value for key in node.keys if isinstance(key, ast.Constant)}
    }


@pytest.mark.parametrize(
    ("call", "home"),
    [
        ("register_at_fork", "_platform/fork.py"),
        ("east_asian_width", "vocabulary/terminal_text.py"),
        ("iscoroutinefunction", "vocabulary/functions.py"),
        ("isasyncgenfunction", "vocabulary/functions.py"),
        ("literal_eval", "vocabulary/coerce.py"),
        ("signature", "vocabulary/functions.py"),
        ("getrandbits", "_platform/fork.py"),
    ],
)
def test_one_module_calls(call: str, home: str) -> None:
    """Hooks of forks, widths of characters, kinds of functions, random ids and so on: each is asked for in one place."""
    callers = {name for name, node in _nodes() if isinstance(node, ast.Attribute) and node.attr == call}

    assert callers == {home}


def test_fields_are_coerced_in_one_place() -> None:
    """``text(line, key)`` and its like read a field of any kind as absent if it is of the wrong one; one module has them."""
    names = {"text", "number", "mapping", "objects"}
    homes = {
        name
        for name, node in _statements()
        if isinstance(node, ast.FunctionDef) and node.name in names and [arg.arg for arg in node.args.args][:2] == ["line", "key"]
    }

    assert homes == {"vocabulary/coerce.py"}


def test_limits_of_lines_have_names_of_their_own() -> None:
    """No two constants about lines share a name and differ."""
    found: dict[str, set[str]] = {}
    for _, node in _statements():
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and "LINE_BYTES" in node.targets[0].id:
            found.setdefault(node.targets[0].id, set()).add(ast.unparse(node.value))

    assert {name: values for name, values in found.items() if len(values) > 1} == {}


def test_files_that_python_imports_at_its_start_go_on_in_one_way() -> None:
    """They can import nothing of the package, so each has the function that imports the next one: the same one."""
    found = [
        ast.unparse(node)
        for name, node in _statements()
        if name.endswith("sitecustomize.py") and isinstance(node, ast.FunctionDef) and node.name == "_next"
    ]

    assert len(found) == 2
    assert len(set(found)) == 1


def test_the_attribute_of_a_replay() -> None:
    """What reads it may not import the names of telemetry, by which it is written."""
    assert comparing.REPLAY_TASK == names.REPLAY_TASK
