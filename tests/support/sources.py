"""The package's own code, as syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import otel_agentlog

HOME = Path(otel_agentlog.__file__).parent


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
