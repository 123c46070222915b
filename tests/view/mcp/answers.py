"""What holds of every answer: of the schema that was promised, short enough, no text of the record outside of marks."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from otel_agentlog.query import GROUPS
from otel_agentlog.query.comparison.differences import FIGURES
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, INPUT
from otel_agentlog.view.mcp.context import McpContext, McpRequest
from otel_agentlog.view.mcp.quoted import NOTICE
from otel_agentlog.view.mcp.shapes import LEVELS, STATES
from otel_agentlog.view.mcp.tasks import KINDS, TYPES
from otel_agentlog.view.mcp.tools import TOOLS
from tests.test_terminal_text import acts_on_a_terminal

MARKED = re.compile(r"«[^«»]*»(?: \[(?:[\d,]+ more characters|cut)\])?")
GIVEN_BY_US = re.compile(
    r"task-[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{32}|[a-z0-9]{8}"  # ids
    r"|\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))?"  # times and days
    r"|\d{1,15}-[0-9a-f]{8}"  # cursors
)
WORDS = frozenset(
    {NOTICE, "same", "changed", "only_left", "only_right", "tasks", "ai_calls", "tool_runs", "unknown", "input", "result"}
    | {AGENT_OUTPUT, FINAL_RESULT, INPUT, *STATES, *KINDS, *TYPES, *LEVELS, *FIGURES, *GROUPS}
)
SCHEMAS = {tool.name: tool.described().output_schema for tool in TOOLS}


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, but for keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def keys(value: Any) -> Iterator[str]:
    """Every key in a value."""
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


@functools.cache
def _validator(tool: str) -> Validator:
    """What checks answers of a tool, whose schema is itself checked once: that takes twenty times as long as an answer does."""
    schema = SCHEMAS[tool]
    kind = validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def check(tool: str, answer: Any, max_bytes: int) -> None:
    """Fail where an answer is not as promised."""
    schema = SCHEMAS[tool]
    _validator(tool).validate(answer)
    assert len(orjson.dumps(answer)) <= max_bytes
    assert answer["notice"] == NOTICE
    promised = set(re.findall(r'"([a-z_0-9]+)": \{', json.dumps(schema)))
    assert set(keys(answer)) <= promised
    for text in texts(answer):
        assert set(acts_on_a_terminal(text)) <= {"\n"}, text[:200]
        assert text in WORDS or MARKED.fullmatch(text) or GIVEN_BY_US.fullmatch(text), text[:200]


def ask(root: Path, tool: str, *, writes: bool = False, **arguments: Any) -> dict[str, Any]:
    """Call a tool as the server does, and check what it answers."""
    found = next(each for each in TOOLS if each.name == tool)
    given = found.arguments.model_validate(arguments)
    answer = found.run(McpRequest(McpContext(lambda wanted: root, allow_writes=writes), client="tests"), given)
    check(tool, answer, getattr(given, "max_bytes", 8_000))
    return answer
