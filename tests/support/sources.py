"""The package's own code, as syntax trees."""

from __future__ import annotations

import ast
import gc
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import otel_agentlog

HOME = Path(otel_agentlog.__file__).parent


class Module(NamedTuple):
    """One module of the package; its trees are shared by the tests of a file and must not be changed."""

    name: str
    """As it is imported: ``otel_agentlog.store.folder``."""
    path: Path
    place: str
    """Its file in the package: ``store/folder/__init__.py``."""
    tree: ast.Module
    nodes: list[ast.AST]
    """All of the tree, in the order of `ast.walk`."""


@cache
def modules() -> list[Module]:
    """All modules. Half a million objects: a test file that has read them drops them with ``cache_clear()``."""
    collecting = gc.isenabled()
    gc.disable()  # it would look through the trees again and again while they are made
    try:
        return [_module(path) for path in sorted(HOME.rglob("*.py"))]
    finally:
        if collecting:
            gc.enable()


def _module(path: Path) -> Module:
    tree = ast.parse(path.read_text())
    name = ".".join(path.relative_to(HOME.parent).with_suffix("").parts).removesuffix(".__init__")
    return Module(name, path, path.relative_to(HOME).as_posix(), tree, list(ast.walk(tree)))


def nodes(*parts: str, skip: Callable[[ast.AST], bool] = lambda node: False) -> Iterator[tuple[str, ast.AST]]:
    """Every node of these packages and modules, with where it stands: ``store/folder/sync.py:settle``, the function if in one.

    Nodes for which ``skip`` is true are left out with all below them.
    """
    for path in sorted(
        path for part in parts for path in ([HOME / part] if part.endswith(".py") else (HOME / part).rglob("*.py"))
    ):
        place = path.relative_to(HOME).as_posix()
        stack: list[tuple[str, ast.AST]] = [(place, ast.parse(path.read_text()))]
        while stack:
            where, node = stack.pop()
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                where = f"{place}:{node.name}"
            if not skip(node):
                yield where, node
                stack += [(where, child) for child in ast.iter_child_nodes(node)]
