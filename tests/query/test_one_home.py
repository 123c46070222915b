"""Sort orders, group keys and outcome sets are written down once."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import otel_agentlog
from otel_agentlog.query import GROUPS, ORDERS

PACKAGE = Path(otel_agentlog.__file__).parent
PARTS = [PACKAGE / "store" / "index", PACKAGE / "query", PACKAGE / "view"]


def lists(words: Collection[str], parts: Collection[Path], *, exactly: bool = False) -> Iterator[str]:
    """The places in the code where all of these words are in one literal: a collection, or one string; `exactly` nothing else."""
    for path in (path for part in parts for path in sorted(part.rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            found = literal(node)
            if (found == set(words)) if exactly else found.issuperset(words):
                yield path.relative_to(PACKAGE).as_posix()


def literal(node: ast.AST) -> set[str]:
    """The words of a literal."""
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return {item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    if isinstance(node, ast.Dict):
        return {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "|" in node.value:
        return set(re.findall(r"\w+", node.value))
    return set()


@pytest.mark.parametrize("words", [ORDERS, GROUPS], ids=["orders", "groups"])
def test_what_can_be_asked_for_is_listed_once(words: Collection[str]) -> None:
    """The command line and the server take it from there."""
    assert list(lists(words, PARTS)) == ["store/index/index.py"]


@pytest.mark.parametrize("words", [{"failed", "timed_out"}, {"failed", "timed_out", "interrupted"}])
def test_nothing_else_says_what_failed(words: Collection[str]) -> None:
    """There are the sets of `otel_agentlog.vocabulary.states`."""
    assert list(lists(words, PARTS[:2], exactly=True)) == []


def test_the_page_offers_every_order_there_is() -> None:
    """What people choose from has labels of its own."""
    (script,) = (PACKAGE / "view" / "web").rglob("tasks.js")
    offered = re.search(r"const ORDERS = \[(.*)\];", script.read_text())

    assert offered is not None
    assert re.findall(r'\["(\w+)",', offered[1]) == [*ORDERS]
