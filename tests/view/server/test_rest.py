"""What REST answers is what stands in the folders."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import time
from pathlib import Path

import orjson
import pytest
from fastapi.testclient import TestClient

import otel_agentlog as agentlog
from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.server.line_pages import clipped, page_of, whole_task
from otel_agentlog.vocabulary.lines import timestamp
from tests.view.server.conftest import TOKEN, client_of

TASK = "task-review42"


def _lines(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / name).read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("word", "file"), [("metadata", "metadata.json"), ("input", "01-input.json"), ("final-result", "04-final-result.json")]
)
def test_documents_are_those_of_the_folder(client: TestClient, stories: Path, word: str, file: str) -> None:
    """Each whole file comes as it stands."""
    answer = client.get(f"/api/tasks/{TASK}/logs/{word}")

    assert answer.json() == json.loads((stories / TASK / file).read_text())


@pytest.mark.parametrize(("word", "file"), [("webhook-flow", "02-webhook-flow.jsonl"), ("agent-output", "03-agent-output.jsonl")])
def test_lines_are_those_of_the_folder(client: TestClient, stories: Path, word: str, file: str) -> None:
    """Without a page all lines come, one JSON object a line."""
    answer = client.get(f"/api/tasks/{TASK}/logs/{word}")

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == _lines(stories / TASK, file)


def test_full_is_everything(client: TestClient, stories: Path) -> None:
    """One JSON object holds every file."""
    found = client.get(f"/api/tasks/{TASK}/logs/full").json()

    folder = stories / TASK
    assert found["metadata"] == json.loads((folder / "metadata.json").read_text())
    assert found["webhook_flow"] == _lines(folder, "02-webhook-flow.jsonl")
    assert found["agent_output"] == _lines(folder, "03-agent-output.jsonl")
    assert found["final_result"] == json.loads((folder / "04-final-result.json").read_text())
    assert found["problems"] == []


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_pages_put_together_are_the_whole(client: TestClient, stories: Path, limit: int) -> None:
    """Whoever goes on at ``next`` sees every line once."""
    found, after, more = [], 0, True
    while more:
        page = client.get(f"/api/tasks/{TASK}/logs/agent-output", params={"after": after, "limit": limit}).json()
        assert len(page["lines"]) <= limit
        found += page["lines"]
        after, more = page["next"], page["more"]

    assert found == _lines(stories / TASK, "03-agent-output.jsonl")


def test_compressed_files_answer_the_same(client: TestClient, stories: Path, tmp_path: Path) -> None:
    """Nobody who asks notices that a file was compressed."""
    shutil.copytree(stories / TASK, tmp_path / TASK)
    plain = tmp_path / TASK / "03-agent-output.jsonl"
    plain.with_name(plain.name + ".gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    packed = client_of(tmp_path)

    for path in ("agent-output", "agent-output?after=0&limit=5", "full"):
        assert packed.get(f"/api/tasks/{TASK}/logs/{path}").text == client.get(f"/api/tasks/{TASK}/logs/{path}").text


def test_a_line_that_is_being_written_waits_for_its_end(stories: Path, tmp_path: Path) -> None:
    """Of a running task the last, unfinished line is not given out, and the offset stays before it."""
    shutil.copytree(stories / TASK, tmp_path / TASK)
    (tmp_path / TASK / "04-final-result.json").unlink()
    with (tmp_path / TASK / "03-agent-output.jsonl").open("ab") as file:
        whole = file.tell()
        file.write(b'{"timestamp":"2026-11-21T05:22:01.123456789Z","type":"log","mess')

    page = page_of(TaskReader(tmp_path / TASK), AGENT_OUTPUT, 0, 10_000, 10**9)

    assert page.next == whole
    assert not page.more


def test_what_has_not_changed_is_not_sent_again(stories: Path, tmp_path: Path) -> None:
    """An entity tag holds until the file changes."""
    shutil.copytree(stories / TASK, tmp_path / TASK)
    client = client_of(tmp_path)
    for path in (f"/api/tasks/{TASK}/logs/agent-output", f"/api/tasks/{TASK}/logs/metadata", f"/api/tasks/{TASK}", "/"):
        etag = client.get(path).headers["etag"]
        again = client.get(path, headers={"If-None-Match": f'"other", {etag}'})
        assert (again.status_code, again.content) == (304, b"")
    etag = client.get(f"/api/tasks/{TASK}/logs/agent-output").headers["etag"]
    with (tmp_path / TASK / "03-agent-output.jsonl").open("ab") as file:
        file.write(b'{"timestamp":"2026-11-21T05:22:01.123456789Z","type":"log"}\n')

    assert client.get(f"/api/tasks/{TASK}/logs/agent-output", headers={"If-None-Match": etag}).status_code == 200


def test_one_task_has_its_tree(client: TestClient) -> None:
    """A task answers with what ``agentlog show --json`` prints, and with where it can be asked for."""
    found = client.get(f"/api/tasks/{TASK}").json()

    assert (found["task_id"], found["status"], found["key"]) == (TASK, "failed", TASK)
    assert {entry["kind"] for entry in found["tree"]} >= {"webhook", "task", "step", "ai_call", "tool_run", "subtask"}


def test_the_trace_is_linked_where_the_settings_say(stories: Path) -> None:
    """The link to the trace has its id in it."""
    found = client_of(stories, trace_url="http://jaeger:16686/trace/{trace_id}").get(f"/api/tasks/{TASK}").json()

    assert found["trace_url"] == f"http://jaeger:16686/trace/{found['trace_id']}"


def test_tasks_are_searched_filtered_and_paged(client: TestClient) -> None:
    """Filters hold together, and pages put together are all that match."""
    everything = client.get("/api/tasks", params={"limit": 500}).json()
    first = client.get("/api/tasks", params={"limit": 3}).json()
    second = client.get("/api/tasks", params={"limit": 500, "offset": 3}).json()

    assert everything["matching"] == everything["tasks"] == len(everything["rows"])
    assert [row["key"] for row in first["rows"] + second["rows"]] == [row["key"] for row in everything["rows"]]
    failed = client.get("/api/tasks", params={"failed": True}).json()["rows"]
    assert failed
    assert {row["status"] for row in failed} <= {"failed", "timed_out", "interrupted"}
    found = client.get("/api/tasks", params={"q": "verdict missing", "agent": "brain"}).json()
    assert [row["task_id"] for row in found["rows"]] == [TASK]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/tasks?status=finished", "status"),
        ("/api/tasks?since=tomorow", "since"),
        ("/api/tasks?limit=100000", "limit"),
        ("/api/tasks?statu=failed", "statu"),
        ("/api/statistics?group_by=colour", "group_by"),
        (f"/api/tasks/{TASK}/logs/agent-output?after=-1", "after"),
    ],
)
def test_a_wrong_question_is_told_what_was_expected(client: TestClient, path: str, names: str) -> None:
    """Parameters that cannot be used are named, with what was found."""
    answer = client.get(path)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert names in answer.json()["detail"]
    assert "found" in answer.json()["detail"]


REFUSALS = [
    ("GET", "/api/tasks?limit=0", None, 422, "query.limit: expected greater than or equal to 1, found '0'"),
    ("GET", "/api/tasks?since=tomorow", None, 422, "query.since: expected a moment such as 2h, 3d, "),
    ("GET", "/api/tasks?statu=failed", None, 422, "query.statu: expected no such name, found it with 'failed'"),
    ("GET", "/api/tasks?order=best", None, 422, "query.order: expected text that matches pattern '^(newest|"),
    ("GET", "/api/tasks?limit=1&limit=2", None, 422, "query.limit: expected it once, found it 2 times"),
    ("GET", "/api/compare?left=last", None, 422, "query.right: expected a value, found none"),
    ("GET", "/api/compare/groups?a=x&b=((", None, 422, "query.b: expected a condition at 3, found the end"),
    ("GET", "/api/nothing", None, 404, "path: expected one of those in /api/openapi.json, found '/api/nothing'"),
    ("GET", "/nothing", None, 404, "path: expected one of those in /api/openapi.json, found '/nothing'"),
    ("POST", "/api/tasks", None, 405, "method: expected GET, found 'POST'"),
    ("GET", "/api/tasks/last/control", None, 405, "method: expected POST, found 'GET'"),
    ("POST", "/api/tasks/last/control", b"x", 422, "body: expected JSON, found at character 0: Expecting value"),
    ("POST", "/api/tasks/last/control", b"[]", 422, "body: expected a valid dictionary or object"),
    ("POST", "/api/tasks/last/control", b"{}", 422, "body.action: expected a value, found none"),
]
"""Method, path, body, status, how `detail` begins."""


@pytest.mark.parametrize(("method", "path", "body", "status", "begins"), REFUSALS)
def test_every_refusal_says_once_what_was_expected_and_found(
    client: TestClient, method: str, path: str, body: bytes | None, status: int, begins: str
) -> None:
    """Those of the framework, too, and in our words."""
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    answer = client.request(method, path, content=body, headers=headers)
    detail = answer.json()["detail"]

    assert (answer.status_code, detail[: len(begins)]) == (status, begins)
    assert detail.count("expected") == detail.count("found") == 1, detail


def test_a_body_that_is_not_said_to_be_json_is_told_so(client: TestClient) -> None:
    """What curl sends where nothing else is said."""
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/api/tasks/last/control", content=b'{"action":"pause"}', headers=headers)

    assert answer.status_code == 422
    assert answer.json()["detail"] == "Content-Type: expected application/json, found 'application/x-www-form-urlencoded'"


def test_a_wrong_name_is_answered_with_the_right_one(client: TestClient) -> None:
    """A task that is not there is a 404 that names those that come near; its result before its end, too."""
    answer = client.get("/api/tasks/task-revew42")
    running = client.get("/api/tasks/task-paused/logs/final-result")

    assert answer.status_code == 404
    assert TASK in answer.json()["detail"]
    assert running.status_code == 404
    assert "has not ended" in running.json()["detail"]


def test_figures_come_in_groups_over_time_and_at_a_glance(client: TestClient) -> None:
    """Statistics, timeline, errors and overview agree with the list."""
    tasks = client.get("/api/tasks", params={"limit": 1}).json()["tasks"]
    by_agent = client.get("/api/statistics", params={"group_by": "agent"}).json()
    spans = client.get("/api/timeline", params={"bucket_s": 86_400}).json()["spans"]
    errors = client.get("/api/errors").json()
    overview = client.get("/api/overview").json()

    assert sum(group["tasks"] for group in by_agent["groups"]) == tasks
    assert sum(span["tasks"] for span in spans) == tasks
    assert sum(errors["by_category"].values()) > 0
    assert {row["status"] for row in errors["rows"]} <= {"failed", "timed_out", "interrupted"}
    assert overview["totals"]["tasks"] == tasks
    assert overview["errors_by_category"] == errors["by_category"]


def test_a_task_of_another_century_does_not_hide_the_timeline(tmp_path: Path) -> None:
    """A clock that was wrong, or damage."""
    for name, created in (("now", time.time_ns()), ("past", 0), ("future", 10**18 * 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.json").write_bytes(orjson.dumps({"created_at": timestamp(created), "status": "completed"}))
    client = client_of(tmp_path)

    assert sum(span["tasks"] for span in client.get("/api/timeline", params={"bucket_s": 60}).json()["spans"]) == 1
    assert client.get("/api/timeline", params={"bucket_s": 60, "since": "1980-01-01"}).status_code == 200


_SAMPLE = re.compile(
    r'(?P<name>[a-z_]+)(?:\{(?P<labels>[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*)\})? (?P<value>[0-9.e+-]+)'
)


def test_metrics_are_prometheus_text(client: TestClient) -> None:
    """Every line is a comment or a sample, each name is declared once, and the values agree with the statistics."""
    lines = client.get("/metrics").text.splitlines()
    samples = [match for line in lines if not line.startswith("# ") and (match := _SAMPLE.fullmatch(line))]
    declared = [line.split()[2] for line in lines if line.startswith("# TYPE ")]

    assert len(samples) == sum(not line.startswith("# ") for line in lines)
    assert len(set(declared)) == len(declared)
    summaries = [line.split()[2] for line in lines if line.startswith("# TYPE ") and line.endswith(" summary")]
    of_summaries = {f"{name}{end}" for name in summaries for end in ("_sum", "_count")}
    assert {sample["name"] for sample in samples} <= {*declared, *of_summaries}
    tasks = {s["labels"]: int(s["value"]) for s in samples if s["name"] == "agentlog_folder_tasks"}
    by_status = client.get("/api/statistics").json()["groups"][0]["by_status"]
    assert {labels: count for labels, count in tasks.items() if count} == {f'status="{k}"': v for k, v in by_status.items()}


def test_an_artifact_comes_whole(tmp_path: Path, tasks_root: Path) -> None:
    """A payload that was too large for a line can be fetched by its hash, and by nothing else."""
    with agentlog.task("Large", task_id="task-large"), agentlog.tool("Read") as run:
        run.result = "x" * 3_000_000
    agentlog.flush()
    names = [path.name.removesuffix(".gz") for path in (tasks_root / "task-large" / "artifacts").iterdir()]
    client = client_of(tasks_root)

    answer = client.get(f"/api/tasks/task-large/artifacts/{names[0]}")

    assert "x" * 3_000_000 in answer.text
    assert answer.headers["content-disposition"].startswith("attachment")
    assert client.get(f"/api/tasks/task-large/artifacts/{'0' * 64}").status_code == 404
    assert client.get("/api/tasks/task-large/artifacts/metadata.json").status_code == 422


def test_a_large_task_comes_in_pieces(tmp_path: Path) -> None:
    """However long the file, no piece of the answer is much longer than a line."""
    folder = tmp_path / "task-long"
    folder.mkdir()
    (folder / "metadata.json").write_bytes(orjson.dumps({"task_id": "task-long", "status": "completed"}))
    line = orjson.dumps({"timestamp": "2026-11-21T05:22:01.123456789Z", "type": "log", "message": "m" * 1000, "event_id": "a-0"})
    (folder / "03-agent-output.jsonl").write_bytes((line + b"\n") * 5000)

    sizes = [len(piece) for piece in whole_task(TaskReader(folder), "task-long", {"agent_output": AGENT_OUTPUT})]

    assert sum(sizes) > 5_000_000
    assert max(sizes) < 100_000


def test_long_texts_can_be_cut() -> None:
    """Cutting goes into every value, and says how much is missing."""
    found = clipped({"a": ["x" * 50, 7, None], "b": "short"}, 10)

    assert found == {"a": ["x" * 10 + "… [40 more characters]", 7, None], "b": "short"}


def test_an_error_is_found_by_its_id(client: TestClient, stories: Path) -> None:
    """What a user was told is enough to find what happened."""
    failed = json.loads((stories / TASK / "04-final-result.json").read_text())["error"]
    error = client.get(f"/api/errors/{failed['error_id']}").json()

    assert error["found"][0]["exception"]["message"] == failed["message"]
    assert client.get("/api/errors/nothing").status_code == 404


def test_too_many_failures_are_an_alert(tasks_root: Path) -> None:
    """It is told as it happens, stays in the overview while it lasts, and is told once."""
    client = client_of(tasks_root)
    assert client.get("/api/alerts").json() == {"active": [], "recent": []}
    with agentlog.task("Unlucky"):
        for _ in range(30):
            with contextlib.suppress(TimeoutError), agentlog.tool("Fetch"):
                raise TimeoutError("no answer")

    found = client.get("/api/alerts").json()

    assert "error_rate_percent" in {alert["type"] for alert in found["active"]}
    assert {alert["type"] for alert in client.get("/api/overview").json()["alerts"]} == {a["type"] for a in found["active"]}
    assert len(client.get("/api/alerts").json()["recent"]) == len(found["recent"])


def test_garbage_in_the_folders_is_no_failure_of_the_server(tmp_path: Path) -> None:
    """Damaged files, wrong types, a planted symlink and a FIFO: every endpoint answers, and nothing planted is read."""
    root = tmp_path / "tasks"
    files = {
        "metadata.json": b"\x00\xff{",
        "03-agent-output.jsonl": b'\xff garbage\n{"timestamp":"x","type":5,"details":7,"phase":[],"span_id":{}}\n' + b"[" * 5000,
        "02-webhook-flow.jsonl": b"{}\n[]\n7\n",
    }
    for number, (name, content) in enumerate(files.items()):
        (root / f"task-{number}").mkdir(parents=True)
        (root / f"task-{number}" / name).write_bytes(content)
    (tmp_path / "secret").write_text("not to be read")
    planted = root / "task-3"
    planted.mkdir()
    (planted / "metadata.json").write_text('{"task_id":["x"],"name":{"a":1},"status":7,"created_at":9,"tags":"no","trace_id":5}')
    (planted / "04-final-result.json").write_text('{"metrics":{"cost_usd":"NaN","input_tokens":1e400},"error":5,"outcome":[]}')
    (planted / "03-agent-output.jsonl").symlink_to(tmp_path / "secret")
    os.mkfifo(planted / "01-input.json")
    client = client_of(root)
    paths = ["tasks", "overview", "alerts", "errors", "statistics?group_by=tool", "timeline?bucket_s=60"]
    words = ["metadata", "input", "webhook-flow", "agent-output", "agent-output?limit=5", "final-result", "full"]
    paths += [f"tasks/task-{number}" for number in range(4)]
    paths += [f"tasks/task-{number}/logs/{word}" for number in range(4) for word in words]

    answers = {path: client.get(f"/api/{path}") for path in paths}

    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code >= 500} == {}
    assert [path for path, answer in answers.items() if "not to be read" in answer.text] == []


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("q=status:failed agent:BR*", {"task-review42"}),
        ("agent=Brain&q=-status:failed", {"task-well"}),
        ("q=boom", {"task-review42"}),
    ],
)
def test_a_filter_in_words_chooses_tasks(client: TestClient, query: str, ids: set[str]) -> None:
    """As on the command line; names without regard to upper and lower case."""
    assert {row["task_id"] for row in client.get(f"/api/tasks?{query}").json()["rows"]} == ids


def test_a_filter_that_cannot_be_read_is_refused(client: TestClient) -> None:
    """With the place and what was meant."""
    answer = client.get("/api/tasks?q=x agnt:brain")

    assert answer.status_code == 422
    assert "there is no field 'agnt' (at 3), did you mean 'agent'?" in answer.json()["detail"]


def test_nothing_found_says_what_was_meant(client: TestClient) -> None:
    """By the values that exist."""
    assert client.get("/api/tasks?agent=brian").json()["hints"] == ["No task has the agent 'brian', did you mean 'brain'?"]


def test_filters_are_completed(client: TestClient) -> None:
    """By fields and values, with what the fields are."""
    found = client.get("/api/filter?q=status:failed agent:b").json()

    assert found["start"] == 20
    assert found["options"] == [{"text": "brain", "tasks": 2, "summary": ""}]
    assert {"name": "agent", "kind": "name", "summary": "the agent that works on it"} in found["fields"]


def test_errors_in_kinds(client: TestClient) -> None:
    """With the filters of the list of tasks."""
    found = client.get("/api/error-groups?q=agent:brain").json()

    assert [(group["count"], group["type"], group["handled_by_retry"]) for group in found["groups"]] == [
        (1, "ValueError", False),
        (1, "OSError", True),
    ]
    assert found["matching"] == 2
