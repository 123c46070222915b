"""What another process writes arrives as it happens, by Server-Sent Events and by WebSocket."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from otel_agentlog.query.indexes import ask
from otel_agentlog.view.server import Limits, create_app
from otel_agentlog.view.server.serving import protocol_with
from tests.support.waiting import wait_until
from tests.view.server.conftest import client_of
from tests.view.server.served import TIMEOUT_S, Served

TASK = "task-review42"

_WRITER = """
import sys, otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-logs", console="off", capture_logging=False)
try:
    with agentlog.task("Written elsewhere", task_id="task-elsewhere") as task:
        print("begun", flush=True)
        for line in sys.stdin:
            agentlog.checkpoint()
            task.output(line.strip())
except agentlog.TaskCancelled:
    pass
agentlog.shutdown()
"""


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that allows control, over a root of this module's own."""
    scratch = tmp_path_factory.mktemp("live")
    with Served(scratch / "tasks", scratch, "--allow-control") as server:
        yield server


@pytest.fixture
def controlled(allowing: Served) -> Iterator[Served]:
    """That server, over a root without tasks."""
    yield allowing
    for folder in allowing.root.glob("task-*"):
        shutil.rmtree(folder)


@contextlib.contextmanager
def writer(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with a task that says what is written to its stdin, and ends with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait(TIMEOUT_S)
        process.stdout.close()


@contextlib.contextmanager
def heard(served: Served, path: str, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a stream, each with its name, data and id."""
    with httpx.stream("GET", served.url + path, headers=headers, timeout=TIMEOUT_S) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        if line.startswith(("event: ", "id: ")):
            name, _, value = line.partition(": ")
            event[name] = value
        elif line.startswith("data: "):
            event["data"] = json.loads(line[6:])
        elif not line and "data" in event:
            yield event
            event = {}


def _said(events: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (e["data"]["line"]["content"] for e in events if e["event"] == "line" and e["data"]["line"].get("type") == "output")


def test_lines_of_another_process_come_as_they_are_written(controlled: Served) -> None:
    """Each line arrives before the next is written, and the stream ends with the task."""
    with writer(controlled.root) as process, heard(controlled, "api/tasks/task-elsewhere/stream") as events:
        assert process.stdin is not None
        for number in range(3):
            process.stdin.write(f"line {number}\n")
            assert next(_said(events)) == f"line {number}"
        process.stdin.close()
        rest = list(events)

    assert rest[-1] == {"event": "end", "data": {"status": "completed"}}
    assert {"event": "status", "data": {"status": "completed"}} in rest


def test_a_broken_stream_goes_on_where_it_ended(served: Served) -> None:
    """Whoever shows the id of the last event gets what came after it, and nothing twice."""
    with heard(served, f"api/tasks/{TASK}/stream") as events:
        whole = [event for event in events if event["event"] == "line"]
    middle = next(index for index, event in enumerate(whole) if "id" in event)

    with heard(served, f"api/tasks/{TASK}/stream", **{"Last-Event-ID": whole[middle]["id"]}) as events:
        rest = [event for event in events if event["event"] == "line"]

    assert [event["data"] for event in rest] == [event["data"] for event in whole[middle + 1 :]]
    assert served.get(f"api/tasks/{TASK}/stream?after=7.x").status_code == 400


def test_the_overview_follows_what_happens(controlled: Served) -> None:
    """A task shows as running while it runs, and as completed after."""
    with heard(controlled, "api/live") as events:
        assert next(events)["data"]["running"] == 0
        with writer(controlled.root):
            found = next(event["data"] for event in events if event["data"]["running"] == 1)
            assert [row["task_id"] for row in found["active"]] == ["task-elsewhere"]
        found = next(event["data"] for event in events if event["data"]["running"] == 0)

    assert [(row["task_id"], row["status"]) for row in found["recent"]] == [("task-elsewhere", "completed")]


def test_a_websocket_tells_the_same(controlled: Served) -> None:
    """Messages of a WebSocket have the events of the stream."""
    url = controlled.url.replace("http", "ws")
    with writer(controlled.root) as process, connect(f"{url}api/tasks/task-elsewhere/ws", open_timeout=TIMEOUT_S) as link:
        assert process.stdin is not None
        process.stdin.write("hello\n")
        while True:
            message = json.loads(link.recv(timeout=TIMEOUT_S))
            if message["event"] == "line" and message["data"]["line"].get("content") == "hello":
                break
        process.stdin.close()
        while message["event"] != "end":
            message = json.loads(link.recv(timeout=TIMEOUT_S))

    assert message["data"] == {"status": "completed"}


def test_the_overview_by_websocket(served: Served) -> None:
    """The first message is the overview as it stands."""
    with connect(f"{served.url.replace('http', 'ws')}api/live/ws", open_timeout=TIMEOUT_S) as link:
        message = json.loads(link.recv(timeout=TIMEOUT_S))

    assert message["event"] == "overview"
    assert message["data"]["totals"]["tasks"] > 0


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_websocket_of_another_site_is_refused(served: Served, headers: dict[str, str]) -> None:
    """No browser asks first before it opens one, so the server must look."""
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{served.url.replace('http', 'ws')}api/live/ws", additional_headers=headers, open_timeout=TIMEOUT_S)


def test_a_websocket_outlives_the_patience_for_requests(stories: Path) -> None:
    """The limit for requests that do not come is none for a WebSocket that is quiet."""
    limits = Limits(header_seconds=1.0)
    with Threaded(create_app(stories, limits=limits), limits) as server:
        with connect(f"ws://{server.address}/api/live/ws", open_timeout=TIMEOUT_S) as link:
            ends_at = time.monotonic() + 2
            while time.monotonic() < ends_at:
                with contextlib.suppress(TimeoutError):
                    link.recv(timeout=0.2)
            assert link.ping().wait(TIMEOUT_S)


def test_there_are_only_so_many_streams(stories: Path) -> None:
    """One too many is told to come again; when one ends, its place is free."""
    with Threaded(create_app(stories, limits=Limits(streams=1)), Limits()) as server:
        web, ws = f"http://{server.address}/api/live", f"ws://{server.address}/api/live/ws"
        with connect(ws, open_timeout=TIMEOUT_S) as first:
            assert json.loads(first.recv(timeout=TIMEOUT_S))["event"] == "overview"
            assert httpx.get(web, timeout=TIMEOUT_S).status_code == 503
            with pytest.raises(InvalidStatus, match="403"):
                connect(ws, open_timeout=TIMEOUT_S)
        wait_until(lambda: _is_free(web), "the place to be free again", timeout_s=TIMEOUT_S)


def _is_free(url: str) -> bool:
    with httpx.stream("GET", url, timeout=TIMEOUT_S) as answer:
        return answer.status_code == 200


def test_a_stream_has_an_end(stories: Path) -> None:
    """After its time a stream ends by itself, and its listener begins again."""
    client = client_of(stories, limits=Limits(stream_seconds=3.0))

    assert "event: overview" in client.get("/api/live").text


def test_questions_that_take_long_do_not_hold_up_streams(stories: Path) -> None:
    """More of them than there are threads for answers, and a task is followed all the same."""
    asked, answered = threading.Event(), threading.Event()

    def long(_: object) -> bool:
        asked.set()
        return answered.wait(TIMEOUT_S)

    with Threaded(create_app(stories), Limits()) as server:
        url = f"http://{server.address}/api"
        waiting = [threading.Thread(target=ask, args=(stories, long))]
        waiting += [
            threading.Thread(target=httpx.get, args=(f"{url}/statistics",), kwargs={"timeout": TIMEOUT_S}) for _ in range(60)
        ]
        waiting[0].start()
        assert asked.wait(TIMEOUT_S)
        for thread in waiting[1:]:
            thread.start()
        try:
            with httpx.stream("GET", f"{url}/tasks/{TASK}/stream", timeout=TIMEOUT_S) as answer:
                assert [*_events(answer.iter_lines())][-1]["event"] == "end"
            assert not answered.is_set()
        finally:
            answered.set()
            for thread in waiting:
                thread.join(TIMEOUT_S)


def test_the_tree_is_told_by_what_changes(controlled: Served) -> None:
    """From the offset of the page on, new and changed parts come, and the task as it is; nothing that the page has already."""
    with writer(controlled.root) as process:
        assert process.stdin is not None
        page = controlled.get("api/tasks/task-elsewhere").json()
        assert [part["kind"] for part in page["tree"]] == ["task"]
        with heard(controlled, f"api/tasks/task-elsewhere/stream?tree={page['tree_offset']}") as events:
            task = next(event for event in events if event["event"] == "task")
            assert (task["data"]["status"], task["data"]["duration_seconds"]) == ("running", None)
            process.stdin.close()
            rest = list(events)
    parts = [part for event in rest if event["event"] == "parts" for part in event["data"]["parts"]]
    assert {(part["kind"], part["status"], part["parent"]) for part in parts} == {("task", "completed", None)}
    assert rest[-1]["event"] == "end"

    with heard(controlled, "api/tasks/task-elsewhere/stream?tree=0") as events:
        anew = [event["data"] for event in events if event["event"] == "parts"]
    assert [(found["anew"], len(found["parts"])) for found in anew] == [(True, 1)]


def test_a_listener_that_takes_nothing_is_let_go() -> None:
    """An answer that nobody reads is given up, however large it is."""
    asked = threading.Event()

    def endless() -> Iterator[bytes]:
        asked.set()
        while True:
            yield b"x" * 65536

    async def answer(_: object) -> StreamingResponse:
        return StreamingResponse(endless())

    with Threaded(Starlette(routes=[Route("/", answer)]), Limits(stall_seconds=0.5)) as server:
        with socket.create_connection(server.listener.getsockname(), timeout=TIMEOUT_S) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert asked.wait(TIMEOUT_S)
            wait_until(lambda: not server.connections, "the server to give up", timeout_s=TIMEOUT_S)


class Threaded:
    """An application in a server of this process, with limits of the test's own."""

    def __init__(self, app: Any, limits: Limits) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=protocol_with(limits), lifespan="off", log_level="critical", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self.listener]})

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many it holds."""
        return len(self._server.server_state.connections)

    def __enter__(self) -> Threaded:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(TIMEOUT_S)
        self.listener.close()
