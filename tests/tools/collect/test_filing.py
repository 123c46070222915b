"""What is taken comes into folders: once, whole, redacted, whenever and in whatever order it came."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otel_agentlog.export.otlp_json import Exported, otlp_json_lines
from otel_agentlog.store.folder.files import LineFile
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.liveness import FolderUse
from otel_agentlog.store.spans.rebuild import rebuild
from otel_agentlog.tools.collect import spool as collect_spool
from otel_agentlog.tools.collect.filing import BusySpoolError
from otel_agentlog.tools.collect.intake import JSON, PROTOBUF, BusyError, Intake, MalformedError
from otel_agentlog.tools.collect.spool import CollectSpool
from otel_agentlog.tools.imports import staging
from otel_agentlog.tools.imports.readers import otlp
from otel_agentlog.tools.imports.staging import Staging
from otel_agentlog.tools.notes import add_note
from otel_agentlog.vocabulary.records import UnsentItem
from tests.support.waiting import wait_until
from tests.tools.collect.collecting import Collecting, spans_of
from tests.tools.imports import samples
from tests.tools.imports.importing import failing_at
from tests.tools.imports.samples import Row, attributes, chat, request, span, tool

TRACE = f"trace-{samples.TRACE}"
SECRET = "sk-proj-abcdefghijklmnopqrstuvwx1234567890ABCDEFGH"


def metadata(task: TaskReader) -> dict[str, Any]:
    """What its folder says the task is."""
    found = task.metadata()
    assert found is not None
    return found


def records(*logs: Row, service: str = "cli") -> Row:
    """A request with log records."""
    scoped = [{"scope": {"name": "events"}, "logRecords": list(logs)}]
    return {"resourceLogs": [{"resource": {"attributes": attributes(**{"service.name": service})}, "scopeLogs": scoped}]}


def event(number: int, body: str, **given: Any) -> Row:
    """A log record, each a second after the other."""
    at = str(1_790_000_000_000_000_000 + number * 1_000_000_000)
    return {"timeUnixNano": at, "severityNumber": 9, "body": {"stringValue": body}, "attributes": attributes(**given)}


def test_a_root_is_a_task_whatever_comes_first(tmp_path: Path) -> None:
    """Children come before their root, in other requests; the folder is as if all had come at once."""
    collecting = Collecting(tmp_path)
    collecting.take(request(chat(2, 1, 10, 2)), request(tool(3, 1)), request(span(1)))

    report = collecting.file()

    (task,) = collecting.tasks().values()
    assert (task.task_id, metadata(task)["status"], metadata(task)["source"]) == (TRACE, "completed", "collect")
    assert (report.tasks, report.again, report.problems) == (1, 0, {})
    metrics = (task.final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["tool_runs"], metrics["input_tokens"]) == (1, 1, 10)


def test_each_span_keeps_its_service(tmp_path: Path) -> None:
    """Of a trace of two services, and of log records; each resource is in the folder once, and clean."""
    collecting = Collecting(tmp_path)
    resources = {
        service: {"service.name": service, "host.name": f"host-{service}", "service.version": "1.2"}
        for service in ("front", "tools")
    }
    resources["tools"]["password"] = "hunter2-hunter2"
    for service, found in zip(resources, (span(1), chat(2, 1, 10, 2)), strict=True):
        row = request(found)
        row["resourceSpans"][0]["resource"] = {"attributes": attributes(**resources[service])}
        collecting.take(row)
    log = {**event(1, "said"), "traceId": samples.TRACE, "spanId": f"{2:016x}"}
    collecting.take(records(log, event(2, "heard", **{"session.id": "s"}), service="logger"), signal="logs")
    collecting.file()
    resources["tools"]["password"] = "[redacted:password]"

    task, session = (collecting.tasks()[name] for name in (TRACE, "session-s"))
    rebuilt = rebuild(task)
    of_spans = {each.span_id: dict(each.resource) for each in rebuilt.spans}
    assert (of_spans[f"{1:016x}"], of_spans[f"{2:016x}"]) == (resources["front"], resources["tools"])
    logs = [*rebuilt.logs, *rebuild(session).logs]
    assert [each.resource for each in logs if each.line.get("type") == "log"] == [{"service.name": "logger"}] * 2
    assert (tmp_path / TRACE / "03-agent-output.jsonl").read_text().count("host-tools") == 1

    unsent = [UnsentItem("span", None, each) for each in rebuilt.spans]
    exported = [json.loads(line) for line in otlp_json_lines(unsent, Exported())]
    groups = [group for row in exported for group in row["resourceSpans"]]
    services = {
        each["spanId"]: otlp.attributes_of(group["resource"])["service.name"]
        for group in groups
        for scoped in group["scopeSpans"]
        for each in scoped["spans"]
    }
    assert {f"{1:016x}": "front", f"{2:016x}": "tools"}.items() <= services.items()


def test_late_spans_are_added(tmp_path: Path) -> None:
    """The folder is exchanged for one with all of them; a note that somebody added stays."""
    collecting = Collecting(tmp_path)
    collecting.take(request(span(1), chat(2, 1, 10, 2)))
    collecting.file()
    add_note(tmp_path / TRACE, "look at this")
    collecting.take(request(chat(4, 1, 5, 1)))

    assert collecting.file().again == 1

    (task,) = collecting.tasks().values()
    assert len(spans_of(task)) == 3
    assert (task.final_result() or {})["metrics"]["input_tokens"] == 15
    assert "look at this" in str([*task.events()])


def test_late_spans_of_a_forgotten_task_are_kept_beside_it(tmp_path: Path) -> None:
    """What the folder has is left out, what it has not gets a folder of its own, and again more of it."""
    collecting = Collecting(tmp_path)
    first, late, later = chat(2, 1, 10, 2), chat(4, 1, 5, 1), chat(5, 1, 7, 1)
    collecting.take(request(span(1), first))
    collecting.file()
    _forget(tmp_path)
    collecting.take(request(first))
    assert collecting.file().tasks == 0
    _forget(tmp_path)
    collecting.take(request(first, late))
    collecting.file()
    collecting.take(request(later))
    collecting.file()
    _forget(tmp_path)
    collecting.take(request(span(1), first, late, later))
    collecting.file()

    tasks = collecting.tasks()
    assert {name: len(spans_of(task)) for name, task in tasks.items()} == {TRACE: 2, f"{TRACE}-late-1": 2}
    assert metadata(tasks[f"{TRACE}-late-1"])["parent_task_id"] == TRACE


def _forget(root: Path) -> None:
    with closing(CollectSpool(root)) as spool:
        assert spool.forget(-1.0) == 1


def test_forgetting_that_is_cut_short_takes_nothing_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes then goes beside it, and what was not deleted yet is not filed again."""
    monkeypatch.setattr(collect_spool, "_DELETED_AT_ONCE", 3)
    collecting = Collecting(tmp_path)
    logs = [{**event(number, f"said {number}"), "traceId": samples.TRACE} for number in range(5)]
    collecting.take(request(span(1), *(chat(number, 1, 10, 2) for number in range(2, 8))))
    collecting.take(records(*logs), signal="logs")
    collecting.file()
    with monkeypatch.context() as patch:
        patch.setattr(CollectSpool, "_forget_some", failing_at(2, CollectSpool._forget_some))
        with pytest.raises(OSError, match="No space"):
            _forget(tmp_path)
    collecting.take(request(chat(9, 1, 1, 1), chat(2, 1, 10, 2)))
    collecting.take(records(*logs, {**event(9, "late"), "traceId": samples.TRACE}), signal="logs")
    assert collecting.file().problems == {}

    tasks = collecting.tasks()
    assert {name: len(spans_of(task)) for name, task in tasks.items()} == {TRACE: 7, f"{TRACE}-late-1": 1}
    said = [line["message"] for line in tasks[f"{TRACE}-late-1"].events() if line.get("type") == "log"]
    assert said == ["late"]


def test_a_trace_without_a_root_is_interrupted_until_it_comes(tmp_path: Path) -> None:
    """It is not due before the time is over; then it is filed as far as it goes; with its root it is complete."""
    collecting = Collecting(tmp_path, settle_s=0.0, wait_s=60.0)
    collecting.take(request(chat(2, 1, 10, 2)))
    with collecting.filer() as filer:
        assert filer.file_due() == 0
    collecting.file()
    (task,) = collecting.tasks().values()
    assert metadata(task)["status"] == "interrupted"
    assert "its root span has not come" in str([*task.events()])

    collecting.take(request(span(1)))
    collecting.file()

    (task,) = collecting.tasks().values()
    assert metadata(task)["status"] == "completed"


def test_a_remote_parent_is_waited_for_no_longer_than_a_root(tmp_path: Path) -> None:
    """OTLP's flags say that the parent is of another process, which may never send."""
    collecting = Collecting(tmp_path, settle_s=0.0)
    collecting.take(request({**chat(2, 9, 10, 2), "flags": 0x301}))
    with collecting.filer() as filer:
        assert filer.file_due() == 1
    assert [metadata(task)["status"] for task in collecting.tasks().values()] == ["completed"]


def test_what_is_sent_again_is_counted_once(tmp_path: Path) -> None:
    """In one request, in another one, after it was filed, and by another process."""
    collecting = Collecting(tmp_path)
    whole = request(span(1), chat(2, 1, 10, 2), chat(2, 1, 10, 2))
    collecting.take(whole, whole)
    collecting.file()
    collecting.take(whole)

    assert collecting.file().tasks == 0
    (task,) = collecting.tasks().values()
    assert len(spans_of(task)) == 2


def test_secrets_are_nowhere_on_disk(tmp_path: Path) -> None:
    """Neither in the folder nor in the spool, by value and by name, in spans, log records and data points."""
    collecting = Collecting(tmp_path)
    collecting.take(request(span(1, note=f"key {SECRET}", password="hunter2-hunter2")))
    collecting.take(records(event(1, f"see {SECRET}", **{"session.id": "s", "password": "hunter2-hunter2"})), signal="logs")
    point = {"timeUnixNano": "1790000000000000000", "asInt": "1", "attributes": attributes(note=SECRET)}
    metric = {"name": "m", "gauge": {"dataPoints": [point]}}
    collecting.take({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}, signal="metrics")

    def found() -> list[str]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return [path.name for path in files if SECRET.encode() in (data := path.read_bytes()) or b"hunter2" in data]

    assert found() == []
    collecting.file()
    assert (found(), len(collecting.tasks())) == ([], 3)


def test_one_that_cannot_be_used_stops_nothing(tmp_path: Path) -> None:
    """Unusable spans are counted with the reason; the others of the request are kept."""
    collecting = Collecting(tmp_path)
    poison = [{**span(7), "traceId": "zz"}, {**span(8), "startTimeUnixNano": "0"}, {**span(9), "spanId": ""}]
    deep: Row = {"stringValue": "x"}
    for _ in range(60):
        deep = {"arrayValue": {"values": [deep]}}
    odd = {**span(2, 1), "name": "a\x00\x1b[31m\ud800"[:-1], "attributes": [{"key": "../../etc", "value": deep}, {"key": "k"}]}
    (accepted,) = collecting.take(request(span(1), *poison, odd))

    assert (accepted.rejected, accepted.reason[:20]) == (3, "expected a span with")
    collecting.file()
    (task,) = collecting.tasks().values()
    assert len(spans_of(task)) == 2


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"resourceSpans": 3}', b"\xff"])
def test_what_is_no_request_is_refused(tmp_path: Path, body: bytes) -> None:
    """As JSON and as protobuf."""
    from otel_agentlog.tools.collect.messages import rows

    with pytest.raises(MalformedError):
        list(rows("traces", body, is_json=True))
    with pytest.raises(MalformedError):
        list(rows("traces", b"\xff" + body, is_json=False))


def test_a_full_spool_takes_nothing_more(tmp_path: Path) -> None:
    """Until it has room again; nothing of the request that was sent away is kept."""
    collecting = Collecting(tmp_path)
    with pytest.raises(BusyError):
        collecting.take(request(span(1)), request(span(2, trace=f"{2:032x}")), max_spool_bytes=1)
    collecting.file()
    assert list(collecting.tasks()) == [TRACE]


def test_a_full_spool_takes_again_when_it_was_filed(tmp_path: Path) -> None:
    """The one that receives need not be started anew: what was filed is forgotten early, and it sees that there is room."""
    collecting = Collecting(tmp_path, settle_s=0.0, max_spool_bytes=200_000)
    intake, sent = collecting.intake(max_spool_bytes=200_000), 0
    try:
        while _take_trace(intake, sent + 1):
            sent += 1
        with collecting.filer() as filer:
            turns = iter((False, True))
            filer.run(lambda wait_s: next(turns))
        wait_until(lambda: _take_trace(intake, sent + 1), "room in the spool", timeout_s=20.0)
    finally:
        intake.close()
    collecting.file()
    assert len(collecting.tasks()) == sent + 1


def _take_trace(intake: Intake, number: int) -> bool:
    try:
        return intake.take("traces", JSON, orjson.dumps(request(span(1, trace=f"{number:032x}", note="x" * 2_000)))).rejected == 0
    except BusyError:
        return False


def test_a_task_that_fails_is_kept_and_does_not_stop_others(tmp_path: Path) -> None:
    """It is told, stays in the spool, and is filed by the next process."""
    collecting = Collecting(tmp_path)
    collecting.take(request(span(1)), request(span(1, trace=f"{2:032x}")))
    database = sqlite3.connect(tmp_path / ".collect" / "spool.db")
    (data,) = database.execute("SELECT data FROM part WHERE trace = ? AND kind = 'span'", (TRACE,)).fetchone()
    with database:
        database.execute("UPDATE part SET data = '[]' WHERE trace = ? AND kind = 'span'", (TRACE,))
    report = collecting.file()
    assert ([*report.problems], report.tasks) == ([TRACE], 1)

    with database:
        database.execute("UPDATE part SET data = ? WHERE trace = ? AND kind = 'span'", (data, TRACE))
    database.close()
    collecting.file()
    assert sorted(collecting.tasks()) == sorted([TRACE, f"trace-{2:032x}"])


@pytest.mark.parametrize("at_fault", ["record", "move", "in use"])
def test_what_is_filed_at_the_second_try_is_filed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_fault: str) -> None:
    """The disk is full at the first one, or somebody has the folder open; nothing of that try is in the folder."""
    collecting = Collecting(tmp_path)
    collecting.take(request(span(1), chat(2, 1, 10, 2)))
    collecting.file()
    collecting.take(request(chat(3, 1, 10, 2)))
    with collecting.filer() as filer:
        with monkeypatch.context() as patch:
            if at_fault == "record":
                patch.setattr(LineFile, "append", failing_at(6, LineFile.append))
            elif at_fault == "move":
                patch.setattr(Staging, "move", failing_at(1, Staging.move))
            else:
                patch.setattr(staging, "folder_use", lambda path: FolderUse.IN_USE)
            filer.file_all()
        assert [*filer.report.problems] == [TRACE]
        assert not [*tmp_path.glob(".imports/work-*/*/*")]
        with closing(CollectSpool(tmp_path)) as spool:
            spool.try_again()
        filer.file_all()
        assert filer.report.problems == {}

    (task,) = collecting.tasks().values()
    metrics = (task.final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["input_tokens"], len(spans_of(task))) == (2, 20, 3)


def test_one_process_files(tmp_path: Path) -> None:
    """A second one is told."""
    collecting = Collecting(tmp_path)
    with collecting.filer(), pytest.raises(BusySpoolError):
        collecting.filer()


def test_a_folder_that_was_deleted_is_made_anew(tmp_path: Path) -> None:
    """By what the spool still has."""
    collecting = Collecting(tmp_path)
    collecting.take(request(span(1)))
    collecting.file()
    shutil.rmtree(tmp_path / TRACE)
    collecting.take(request(chat(2, 1, 1, 1)))
    collecting.file()
    assert [len(spans_of(task)) for task in collecting.tasks().values()] == [2]


def test_what_a_program_recorded_here_itself_is_not_filed_twice(tmp_path: Path) -> None:
    """Its spans name their task, whose folder is below this root."""
    collecting = Collecting(tmp_path)
    collecting.take(request(span(1)))
    collecting.file()
    _as_recorded_here(tmp_path)
    _forget(tmp_path)

    log = {**event(1, "said"), "traceId": samples.TRACE, "spanId": f"{1:016x}"}
    collecting.take(records(log), signal="logs")
    collecting.take(request(span(1, **{"agentlog.task.id": "task-1"}), span(8, 1, **{"agentlog.task.id": "task-1"})))
    report = collecting.file()

    assert (report.at_home, report.tasks) == (1, 0)
    # What other services did in that trace is in no other folder.
    of_another = {**event(2, "heard"), "traceId": samples.TRACE, "spanId": f"{2:016x}"}
    collecting.take(request(span(1, **{"agentlog.task.id": "task-1"}), chat(2, 1, 10, 2)), request(tool(3, 2)))
    collecting.take(records(log, of_another), signal="logs")
    assert collecting.file().tasks == 1
    other = collecting.tasks()[TRACE]
    assert (metadata(other)["parent_task_id"], sorted(spans_of(other))) == ("task-1", [f"{2:016x}", f"{3:016x}"])
    assert [line["message"] for line in other.events() if line.get("type") == "log"] == ["heard"]

    collecting.take(request(span(1, trace=f"{3:032x}", **{"agentlog.task.id": "task-of-another-host"})))
    assert collecting.file().tasks == 1


def _as_recorded_here(root: Path) -> None:
    """Make the folder of `TRACE` that of a task which a program recorded below this root."""
    for file in (root / TRACE).iterdir():
        if file.is_file():
            file.write_text(file.read_text().replace('"source":"collect"', '"source":"app"').replace(TRACE, "task-1"))
    (root / TRACE).rename(root / "task-1")


def test_a_problem_that_is_over_is_not_reported(tmp_path: Path) -> None:
    """A task could not be filed, and then there was nothing of it to file: its program has recorded it."""
    collecting = Collecting(tmp_path)
    collecting.take(request(span(1)))
    collecting.file()
    other = f"{2:032x}"
    collecting.take(request(span(1, trace=other, **{"agentlog.task.id": "task-1"})))
    database = sqlite3.connect(tmp_path / ".collect" / "spool.db", isolation_level=None)
    database.execute("UPDATE part SET data = '[]' WHERE trace = ? AND kind = 'span'", (f"trace-{other}",))
    with collecting.filer() as filer:
        filer.file_all()
        assert list(filer.report.problems) == [f"trace-{other}"]

        _as_recorded_here(tmp_path)
        database.execute("UPDATE task SET problem = NULL")
        filer.file_all()
    database.close()
    assert (filer.report.at_home, filer.report.problems) == (1, {})


# -- sessions of coding agents -------------------------------------------------------------------------------------------------

CLAUDE = [
    event(1, "claude_code.user_prompt", **{"event.name": "user_prompt", "session.id": "s-1", "prompt": "fix the test"}),
    event(4, "claude_code.api_request", **{"event.name": "api_request", "session.id": "s-1", "model": "m-1", "cost_usd": "0.5",
          "input_tokens": "10", "output_tokens": "3", "cache_read_tokens": "5", "cache_creation_tokens": "0",
          "duration_ms": "2000"}),
    event(5, "claude_code.tool_result", **{"event.name": "tool_result", "session.id": "s-1", "tool_name": "Bash",
          "success": "true", "duration_ms": "100", "tool_parameters": '{"command":"ls"}'}),
    event(6, "claude_code.tool_result", **{"event.name": "tool_result", "session.id": "s-1", "tool_name": "Edit",
          "success": "false", "error": "no such file"}),
    event(7, "claude_code.api_error", **{"event.name": "api_error", "session.id": "s-1", "model": "m-1", "error": "overloaded"}),
]  # fmt: skip
CODEX = [
    event(1, "", **{"event.name": "codex.conversation_starts", "conversation.id": "c-1", "model": "m-1"}),
    event(2, "", **{"event.name": "codex.user_prompt", "conversation.id": "c-1", "prompt": "say hello"}),
    event(3, "", **{"event.name": "codex.sse_event", "event.kind": "response.output_item.done", "conversation.id": "c-1"}),
    event(4, "", **{"event.name": "codex.sse_event", "event.kind": "response.completed", "conversation.id": "c-1", "model": "m-1",
          "input_token_count": 20, "output_token_count": 4, "cached_token_count": 8, "reasoning_token_count": 1}),
    event(5, "", **{"event.name": "codex.tool_result", "conversation.id": "c-1", "tool_name": "shell", "call_id": "k",
          "arguments": '{"cmd":"ls"}', "success": "true", "output": "a b", "duration_ms": "5"}),
]  # fmt: skip
GEMINI = [
    event(1, "", **{"event.name": "gemini_cli.user_prompt", "session.id": "g-1", "prompt": "list files"}),
    event(2, "", **{"event.name": "gemini_cli.api_response", "session.id": "g-1", "model": "m-1", "input_token_count": 7,
          "output_token_count": 2, "cached_content_token_count": 0, "thoughts_token_count": 0, "duration_ms": 10}),
    event(3, "", **{"event.name": "gemini_cli.tool_call", "session.id": "g-1", "function_name": "ls", "function_args": "{}",
          "success": True, "duration_ms": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("logs", "task_id", "name", "sums"),
    [
        (CLAUDE, "session-s-1", "fix the test", (2, 2, 15, 3, 0.5)),
        (CODEX, "session-c-1", "say hello", (1, 1, 20, 4, None)),
        (GEMINI, "session-g-1", "list files", (1, 1, 7, 2, None)),
    ],
    ids=["claude", "codex", "gemini"],
)
def test_sessions_of_coding_agents(tmp_path: Path, logs: list[Row], task_id: str, name: str, sums: tuple[float, ...]) -> None:
    """Their log records become AI calls and tool runs of a task; sums were computed by hand. In two requests."""
    collecting = Collecting(tmp_path)
    collecting.take(records(*logs[:3]), signal="logs")
    collecting.file()
    collecting.take(records(*logs), signal="logs")
    collecting.file()

    (task,) = collecting.tasks().values()
    metrics = (task.final_result() or {})["metrics"]
    assert (task.task_id, metadata(task)["name"], metadata(task)["session_id"]) == (task_id, name, task_id.split("-", 1)[1])
    found = tuple(metrics[key] for key in ("ai_calls", "tool_runs", "input_tokens", "output_tokens"))
    assert found == sums[:4]
    if sums[4] is not None:
        assert metrics["cost_usd"] == sums[4]


SUMS = ("ai_calls", "tool_runs", "input_tokens", "output_tokens", "cost_usd")


@pytest.mark.parametrize("logs", [CLAUDE, CODEX, GEMINI], ids=["claude", "codex", "gemini"])
@pytest.mark.parametrize("spans", ["none", "plain", "of calls"])
def test_events_of_a_trace_are_counted_once(tmp_path: Path, logs: list[Row], spans: str) -> None:
    """Alone and beside plain spans they are the calls; beside spans that are the calls they are what was logged."""
    collecting, trace = Collecting(tmp_path), {"traceId": samples.TRACE, "spanId": f"{1:016x}"}
    for request_of in (logs[:3], logs):
        collecting.take(records(*({**log, **trace} for log in request_of)), signal="logs")
    if spans != "none":
        more = (chat(2, 1, 100, 2), tool(3, 1)) if spans == "of calls" else ()
        begins = {"startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000003000000000"}
        collecting.take(request({**span(1), **begins}, *more))
    collecting.file()
    other = Collecting(tmp_path.parent / f"{tmp_path.name}-alone")
    other.take(records(*logs), signal="logs")
    other.file()

    (task,), (alone,) = collecting.tasks().values(), other.tasks().values()
    sums = {name: (task.final_result() or {})["metrics"].get(name) for name in SUMS}
    if spans == "of calls":
        assert (sums["ai_calls"], sums["tool_runs"], sums["input_tokens"], sums["output_tokens"]) == (1, 1, 100, 2)
    else:
        assert sums == {name: (alone.final_result() or {})["metrics"].get(name) for name in SUMS}
        assert 0 not in (sums["ai_calls"], sums["tool_runs"])


def test_a_session_with_a_long_break(tmp_path: Path) -> None:
    """What comes after the spool forgot it is a sub-task; what is sent again is not counted twice, for a day."""
    collecting = Collecting(tmp_path)
    collecting.take(records(*CLAUDE[:3]), signal="logs")
    collecting.file()
    _forget(tmp_path)
    collecting.take(records(*CLAUDE[:3]), signal="logs")
    assert collecting.file().tasks == 0
    collecting.take(records(*CLAUDE[3:]), records(*CLAUDE[:3]), signal="logs")
    collecting.file()

    tasks = collecting.tasks()
    sums = {
        name: [(task.final_result() or {})["metrics"][key] for key in ("ai_calls", "tool_runs")] for name, task in tasks.items()
    }
    assert sums == {"session-s-1": [1, 1], "session-s-1-late-1": [1, 1]}
    late = metadata(tasks["session-s-1-late-1"])
    assert (late["parent_task_id"], late["session_id"]) == ("session-s-1", "s-1")
    _forget(tmp_path)
    spool = CollectSpool(tmp_path)
    assert (spool.forget_ids(), spool.forget_ids(-1.0), spool.forget_ids(-1.0)) == (0, 1, 0)
    spool.close()


def test_sessions_are_named_safely(tmp_path: Path) -> None:
    """Ids that are no folder names make no path; two of them make two tasks."""
    collecting = Collecting(tmp_path)
    for number, name in enumerate(("../../etc", "..", "a/b", "a\x00b", "x" * 500, "ü")):
        collecting.take(records(event(number, "said", **{"session.id": name})), signal="logs")
    collecting.file()
    assert len(collecting.tasks()) == 6
    assert {path.name for path in tmp_path.parent.iterdir()} == {tmp_path.name} or not (tmp_path.parent / "etc").exists()


def test_of_sums_the_last_report_counts(tmp_path: Path) -> None:
    """Data points of a session and of no session; what is cumulative is kept once, deltas each."""
    collecting = Collecting(tmp_path)

    def report(value: int, at: int, temporality: int, **given: Any) -> Row:
        times = {"startTimeUnixNano": "1790000000000000000", "timeUnixNano": str(1790000000000000000 + at)}
        point = {**times, "asInt": str(value), "attributes": attributes(**given)}
        metric = {
            "name": "gen_ai.tokens",
            "unit": "{token}",
            "sum": {"aggregationTemporality": temporality, "dataPoints": [point]},
        }
        return {"resourceMetrics": [{"scopeMetrics": [{"scope": {"name": "m"}, "metrics": [metric]}]}]}

    for number in range(1, 4):
        collecting.take(report(number, number, 2, **{"session.id": "s"}), report(number, number, 1), signal="metrics")
    collecting.file()

    tasks = collecting.tasks()
    values = {
        name: [line["details"]["value"] for line in task.events() if line.get("type") == "log"] for name, task in tasks.items()
    }
    assert values == {"session-s": [3], "service-unknown_service-2026-09-21T14": [1, 2, 3]}


def test_what_two_instances_send_is_not_the_same(tmp_path: Path) -> None:
    """Equal log records, deltas and sums of two instances of a service, two of each record in a request; all of it sent twice."""
    collecting = Collecting(tmp_path)

    def resource(instance: str) -> Row:
        return {"attributes": attributes(**{"service.name": "a", "service.instance.id": instance})}

    def metric(instance: str, value: int, temporality: int) -> Row:
        times = {"startTimeUnixNano": "1790000000000000000", "timeUnixNano": "1790000000000000009"}
        point = {**times, "asInt": str(value), "attributes": attributes(**{"session.id": "s"})}
        sums = {"name": "tokens", "sum": {"aggregationTemporality": temporality, "dataPoints": [point]}}
        return {"resourceMetrics": [{"resource": resource(instance), "scopeMetrics": [{"metrics": [sums]}]}]}

    def logs(instance: str) -> Row:
        scoped = [{"scope": {"name": "e"}, "logRecords": [event(1, "retry", **{"session.id": "s"})] * 2}]
        return {"resourceLogs": [{"resource": resource(instance), "scopeLogs": scoped}]}

    for _ in range(2):
        collecting.take(metric("1", 5, 1), metric("2", 5, 1), metric("1", 7, 2), metric("2", 9, 2), signal="metrics")
        collecting.take(logs("1"), logs("2"), signal="logs")
        collecting.file()

    (task,) = collecting.tasks().values()
    found = [line for line in task.events() if line.get("type") == "log"]
    assert sorted(line["details"]["value"] for line in found if "metric" in line["details"]) == [5, 5, 7, 9]
    assert [line["message"] for line in found].count("retry") == 4


def test_a_histogram_keeps_its_buckets(tmp_path: Path) -> None:
    """Those of an exponential one, too, as protobuf has them."""
    message = ExportMetricsServiceRequest()
    histogram = message.resource_metrics.add().scope_metrics.add().metrics.add(name="h").exponential_histogram
    point = histogram.data_points.add(time_unix_nano=1790000000000000000, count=3, scale=1, zero_count=1, zero_threshold=0.5)
    point.positive.bucket_counts.extend([1, 2])
    point.negative.offset = -1
    collecting = Collecting(tmp_path)
    intake = collecting.intake()
    intake.take("metrics", PROTOBUF, message.SerializeToString())
    intake.close()
    collecting.file()

    (task,) = collecting.tasks().values()
    (details,) = [line["details"] for line in task.events() if line.get("type") == "log"]
    wanted = {"positive": {"bucketCounts": ["1", "2"]}, "negative": {"offset": -1}, "zeroThreshold": 0.5, "zeroCount": "1"}
    assert {key: details[key] for key in wanted} == wanted


# -- protobuf and JSON are one ---------------------------------------------------------------------------------------------

_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.text(max_size=8) | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3),
    max_leaves=6,
)
_ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=6), _VALUES, max_size=4)


def _any(value: Any) -> Row:
    """As JSON has an ``AnyValue``."""
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any(each) for each in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _pairs(value)}}
    (pair,) = attributes(x=value)
    found: Row = pair["value"]
    return found


def _pairs(values: dict[str, Any]) -> list[Row]:
    return [{"key": name, "value": _any(value)} for name, value in values.items()]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(_ATTRIBUTES, _ATTRIBUTES, st.integers(0, 5), st.integers(0, 2), st.booleans())
def test_protobuf_is_read_as_json_is(first: dict[str, Any], second: dict[str, Any], kind: int, code: int, log: bool) -> None:
    """The same request in both forms gives the same spans or log records."""
    from otel_agentlog.testing.otlp.decode import request_from_json
    from otel_agentlog.tools.collect.messages import rows

    if log:
        record = {**event(1, "said"), "traceId": f"{5:032x}", "spanId": f"{6:016x}", "attributes": _pairs(first)}
        signal, row = "logs", records({**record, "eventName": "named"})
    else:
        more = {"kind": kind, "status": {"code": code, "message": "m"}, "flags": 0x301, "attributes": _pairs(first)}
        noted = [{"timeUnixNano": "1790000000000000001", "name": "e", "attributes": _pairs(second)}]
        links = [{"traceId": f"{7:032x}", "spanId": f"{8:016x}", "attributes": _pairs(second)}]
        signal, row = "traces", request({**span(2, 1), **more, "events": noted, "links": links})
    body = json.dumps(row).encode()
    packed = request_from_json(signal, body).SerializeToString()

    of_json = [found for each in rows(signal, body, is_json=True) for found in otlp.read(each)]
    of_protobuf = [found for each in rows(signal, packed, is_json=False) for found in otlp.read(each)]

    assert of_json == of_protobuf
    assert of_json
