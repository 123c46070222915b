"""Whatever a table holds becomes lines: any attributes, of any spans, in any order, twice, in circles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import AgentlogError, ConfigurationError
from otel_agentlog.export.semconv import names
from otel_agentlog.query import report, search, statistics
from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.view.backends.clickhouse import ClickHouse
from otel_agentlog.view.backends.folders import bring
from otel_agentlog.view.backends.wanted import Wanted
from otel_agentlog.view.mcp.context import McpContext, McpRequest
from otel_agentlog.view.mcp.tasks import ListArguments, ShowArguments, show_task
from otel_agentlog.view.mcp.tasks import list_tasks as list_tasks_tool

_IDS = st.sampled_from(["", "a" * 16, "b" * 16, "c" * 16, "d" * 16])
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", "1", "-1", "1.5", "nan", "true", "[]", '["a"]', "{}", "null", "9" * 40, "../x", "a\nb\x1b[2J"]
)
_KEYS = st.sampled_from([value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)])
_ATTRIBUTES = st.dictionaries(_KEYS | st.sampled_from(["own", "exception", ""]), _TEXTS, max_size=8)
_TASKS = st.sampled_from(["task-1", "task-2", "../../etc", "CON", "x" * 300])
_TIMES = st.integers(0, 2**62)


@st.composite
def _spans(draw: st.DrawFn) -> dict[str, Any]:
    attributes = draw(_ATTRIBUTES)
    if draw(st.booleans()):
        attributes[names.TASK_ID] = draw(_TASKS)
    events = draw(st.lists(st.sampled_from(["webhook.received", "exception", ""]), max_size=2))
    return {
        "trace_id": "1" * 32,
        "span_id": draw(_IDS),
        "parent_span_id": draw(_IDS),
        "name": draw(_TEXTS),
        "kind": draw(st.sampled_from(["Server", "Client", "Internal", "Unspecified"])),
        "start_ns": draw(_TIMES),
        "duration_ns": draw(_TIMES),
        "attributes": attributes,
        "resource": draw(_ATTRIBUTES),
        "scope": draw(st.sampled_from(["otel_agentlog", "other", ""])),
        "scope_version": "",
        "status": draw(st.sampled_from(["Error", "Unset", "Ok"])),
        "description": draw(_TEXTS),
        "event_names": events,
        "event_times": [draw(_TIMES) for _ in events],
        "event_attributes": [draw(_ATTRIBUTES) for _ in events],
    }


@st.composite
def _logs(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "trace_id": "1" * 32,
        "span_id": draw(_IDS),
        "time_ns": draw(_TIMES),
        "level": draw(st.sampled_from(["INFO", "ERROR", "", "odd"])),
        "body": draw(_TEXTS),
        "attributes": {**draw(_ATTRIBUTES), **({names.TASK_ID: draw(_TASKS)} if draw(st.booleans()) else {})},
        "resource": draw(_ATTRIBUTES),
        "event_name": draw(st.sampled_from(["", "agentlog.attempt_failed", "agentlog.content", "gen_ai.evaluation.result", "x"])),
    }


class _Tables(ClickHouse):
    """Answers from given rows."""

    def __init__(self, spans: list[dict[str, Any]], logs: list[dict[str, Any]]) -> None:
        super().__init__("clickhouse://nobody@nowhere/otel")
        self._spans, self._logs = spans, logs

    def rows(self, statement: str, parameters: Any = None) -> Any:
        if statement.startswith("DESCRIBE"):
            return iter([{"name": "EventName"}])
        if "chosen" in statement:
            return iter(
                [{"trace": "1" * 32, "spans": len(self._spans), "logs": len(self._logs), "first_ns": 0, "last_ns": 2**62}]
            )
        return iter(orjson.loads(orjson.dumps(self._spans if "otel_traces" in statement else self._logs)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(spans=st.lists(_spans(), max_size=6), logs=st.lists(_logs(), max_size=4))
def test_any_rows_become_folders_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, spans: list[dict[str, Any]], logs: list[dict[str, Any]]
) -> None:
    """Each task has a folder below the root and nowhere else, and lists, statistics and reports say something about it."""
    home = tmp_path_factory.mktemp("any")
    root = bring(_Tables(spans, logs), home / "cache", Wanted())
    tasks = list(list_tasks(root))

    assert {path.name for path in home.iterdir()} == {"cache"}
    assert search(root, limit=None).matching == len(tasks)
    assert statistics(root).groups[0].tasks == len(tasks)
    for task in tasks:
        assert report(task, with_lines=True).problems == []


def test_a_task_that_went_on_in_another_trace_has_one_folder(tmp_path: Path) -> None:
    """Resumed elsewhere, with a link and no parent: what was brought before is still in its folder."""
    first = _span("1" * 32, "a" * 16, 10**18, {names.TASK_ID: "task-1", names.STEP_NAME: "plan"})
    second = _span("2" * 32, "b" * 16, 2 * 10**18, {names.TASK_ID: "task-1", names.TASK_NAME: "Review"})

    bring(_Traces([first]), tmp_path, Wanted())
    root = bring(_Traces([first, second]), tmp_path, Wanted())

    (task,) = list_tasks(root)
    assert [line["message"] for line in task.events() if line.get("phase") == "start"] == ["plan", "Review"]
    assert search(root).rows[0].name == "Review"


def test_agents_ask_it(tmp_path: Path) -> None:
    """By the Model Context Protocol: each question brings what it asks about."""
    spans = [_span("1" * 32, "a" * 16, 10**18, {names.TASK_ID: "task-1", names.TASK_NAME: "Review"})]
    request = McpRequest(McpContext(lambda wanted: bring(_Traces(spans), tmp_path, wanted)))

    assert list_tasks_tool(request, ListArguments())["tasks"][0]["name"] == "«Review»"
    spans.append(_span("2" * 32, "b" * 16, 2 * 10**18, {names.TASK_ID: "task-2", names.TASK_NAME: "Merge"}))
    assert show_task(request, ShowArguments(task="task-2"))["about"]["name"] == "«Merge»"


def _span(trace_id: str, span_id: str, start_ns: int, attributes: dict[str, str]) -> dict[str, Any]:
    texts = dict.fromkeys(("parent_span_id", "name", "scope_version", "description"), "")
    lists: dict[str, Any] = {key: [] for key in ("event_names", "event_times", "event_attributes")}
    own = {"trace_id": trace_id, "span_id": span_id, "start_ns": start_ns, "duration_ns": 10**9, "attributes": attributes}
    return {**texts, **lists, **own, "kind": "Internal", "resource": {}, "scope": "otel_agentlog", "status": "Unset"}


class _Traces(ClickHouse):
    """Answers from given spans, by their traces."""

    def __init__(self, spans: list[dict[str, Any]]) -> None:
        super().__init__("clickhouse://nobody@nowhere/otel")
        self._spans = spans

    def rows(self, statement: str, parameters: Any = None) -> Any:
        if "chosen" in statement:
            return iter(
                {"trace": span["trace_id"], "spans": 1, "logs": 0, "first_ns": span["start_ns"], "last_ns": span["start_ns"]}
                for span in self._spans
            )
        wanted = parameters and parameters["traces"]
        return iter([span for span in self._spans if "otel_traces" in statement and span["trace_id"] in wanted])


@pytest.mark.parametrize("line", [b"Code: 241. DB::Exception: memory", b'{"exception": "Code: 159"}', b"[1]", b'{"trace'])
def test_an_answer_that_breaks_off_is_an_error(line: bytes) -> None:
    """Half of the rows are never taken for all of them."""
    with pytest.raises(AgentlogError, match="broke off"):
        list(ClickHouse("clickhouse://nobody@nowhere/otel")._parsed([b'{"a":1}\n', line]))


@given(st.text(max_size=60))
def test_any_url_is_read_or_refused(url: str) -> None:
    """Never another error, and never with a password in it."""
    for each in (url, f"clickhouse://{url}", f"clickhouse://user:verysecret@{url}"):
        assert "verysecret" not in _said_of(each)


def _said_of(url: str) -> str:
    try:
        return ClickHouse(url).name
    except ConfigurationError as error:
        return str(error)
