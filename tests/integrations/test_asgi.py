"""The ASGI middleware behind a real uvicorn: one task per request, as the request went."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
import websockets.sync.client
from starlette.middleware.cors import CORSMiddleware

import otel_agentlog as agentlog
from otel_agentlog.integrations.asgi import AgentlogMiddleware
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.validation.validate import validate
from tests.support.ports import accepts, free_ports
from tests.support.process import ServerProcess
from tests.support.waiting import wait_until

APP = Path(__file__).parent / "web_app.py"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Web:
    """A running server and what it records."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tasks"
        self.port = free_ports(1)[0]
        self.server = ServerProcess([sys.executable, APP, str(self.port), self.root], folder / "server.log")
        self.url = f"http://127.0.0.1:{self.port}"

    def ended(self, count: int = 1) -> list[dict[str, Any]]:
        """The metadata of that many tasks, once they have ended."""

        def found() -> list[dict[str, Any]]:
            tasks = [task.metadata() or {} for task in list_tasks(self.root)] if self.root.exists() else []
            done = [task for task in tasks if task.get("completed_at")]
            return done if len(done) >= count else []

        return wait_until(found, f"{count} tasks to end", timeout_s=60)

    def only(self) -> TaskReader:
        """The only task there is, once it has ended."""
        self.ended()
        tasks = list(list_tasks(self.root))
        assert len(tasks) == 1
        return tasks[0]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """A server that is ended as it should be, after which every folder is valid."""
    running = Web(tmp_path)
    running.server.start(lambda: accepts(running.port), timeout_s=60)
    yield running
    running.server.stop()
    for task in list_tasks(running.root) if running.root.exists() else ():
        assert [str(problem) for problem in validate(task.folder).problems] == []


def lines(task: TaskReader) -> list[dict[str, Any]]:
    return list(task.events())


def start_and_end(task: TaskReader) -> tuple[dict[str, Any], dict[str, Any]]:
    start, end = [line for line in lines(task) if line["type"] == "task"]
    return start, end


def test_a_request_is_a_task(web: Web) -> None:
    """Named by its route, in the caller's trace, with its steps; the body and the query are nowhere in it."""
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    answer = httpx.post(f"{web.url}/orders/7?token=qwertz", content="a body", headers=headers, timeout=60).json()

    task = web.only()
    start, end = start_and_end(task)
    assert (task.task_id, start["trace_id"], start["parent_span_id"]) == (answer["task"], TRACE, "b7ad6b7169203331")
    assert (start["message"], start["name"]) == ("POST /orders/{number:int}", "invoke_agent web")
    assert (answer["body"], end["outcome"], end["attributes"]["http.response.status_code"]) == ("a body", "completed", 200)
    assert (task.input() or {})["input"] == {"method": "POST", "path": "/orders/7"}
    assert [line["message"] for line in lines(task) if line["type"] == "step"] == ["look up"] * 2
    kept = b"".join(path.read_bytes() for path in task.folder.iterdir())
    assert b"a body" not in kept
    assert b"qwertz" not in kept


@pytest.mark.parametrize(
    ("path", "outcome", "why"),
    [
        ("/broken", "failed", "out of stock"),
        ("/unavailable", "failed", "HTTP 503"),
        ("/nowhere", "completed", None),
        ("/orders/7", "completed", None),
        ("/ticks?few=1", "completed", None),
    ],
)
def test_how_a_request_ended(path: str, outcome: str, why: str | None, web: Web) -> None:
    """Errors and statuses from 500 on are failures; that of the client is none; a stream ends when its body ends."""
    httpx.get(web.url + path, timeout=60)

    _, end = start_and_end(web.only())
    assert (end["outcome"], end.get("exception", {}).get("message") or end.get("reason")) == (outcome, why)
    assert len([line for line in lines(web.only()) if line["type"] == "output"]) == (3 if "few" in path else 0)


def test_a_client_that_goes_is_a_cancellation(web: Web) -> None:
    """In the middle of a stream."""
    with httpx.stream("GET", f"{web.url}/ticks", timeout=60) as answer:
        next(answer.iter_bytes())

    _, end = start_and_end(web.only())
    assert (end["outcome"], end["reason"]) == ("cancelled", "client disconnected")


def test_health_checks_are_not_recorded(web: Web) -> None:
    """They would be most of what there is."""
    for _ in range(3):
        assert httpx.get(f"{web.url}/healthz", timeout=60).text == "ok"
    httpx.get(f"{web.url}/orders/7", timeout=60)
    assert len(web.ended()) == 1


def test_a_job_that_outlives_its_request_ends_the_task(web: Web) -> None:
    """Handed over to a background task: one folder, whose result is that of the job."""
    answer = httpx.post(f"{web.url}/queued", timeout=60)

    task = web.only()
    assert (answer.status_code, task.task_id) == (202, answer.json()["task"])
    assert (task.final_result() or {})["result"] == "done"


def test_a_webhook_creates_a_task(web: Web) -> None:
    """The request is the webhook of the task, with the event's name as its provider sends it."""
    answer = httpx.post(f"{web.url}/hooks/github", headers={"x-github-event": "issue_comment"}, content="{}", timeout=60).json()

    assert answer["event"] == "issue_comment"
    task = TaskReader(web.root / answer["task"])
    stages = wait_until(lambda: [line["stage"] for line in task.webhook_flow()], "the flow")
    assert stages == ["received", "task_created"]
    assert (task.metadata() or {})["provider"] == "github"


def test_a_websocket_is_a_task(web: Web) -> None:
    """From connect to close, whoever closes it."""
    with websockets.sync.client.connect(f"ws://127.0.0.1:{web.port}/echo") as socket:
        socket.send("a")
        assert socket.recv() == "a"
        socket.send("bye")
    with websockets.sync.client.connect(f"ws://127.0.0.1:{web.port}/echo") as socket:
        socket.send("a")
        socket.recv()

    assert [(found["name"], found["status"]) for found in web.ended(2)] == [("WEBSOCKET /echo", "completed")] * 2


def test_two_hundred_at_once(web: Web) -> None:
    """Each has its own folder and answer."""

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as client:
            return await asyncio.gather(*(client.get(f"{web.url}/orders/{number}") for number in range(200)))

    answers = [answer.json() for answer in asyncio.run(ask())]

    assert [answer["order"] for answer in answers] == list(range(200))
    found = web.ended(200)
    assert {task["task_id"] for task in found} == {answer["task"] for answer in answers}
    assert {task["status"] for task in found} == {"completed"}


def test_a_kill_leaves_an_interrupted_task(web: Web) -> None:
    """As of any process that dies."""
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{web.url}/dies", timeout=60)
    # The answer breaks off before the process is gone.
    repaired = wait_until(lambda: recover(web.root).repaired, "the process to be gone")
    assert [repair.status for repair in repaired] == ["interrupted"]


# -- without a server ---------------------------------------------------------------------------------------------------------


async def call(app: Any, scope: dict[str, Any], receive: Any = None) -> list[Any]:
    """What an application sends."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def nothing() -> Any:
        return {"type": "http.request"}

    await app(scope, receive or nothing, send)
    return sent


async def test_routes_of_fastapi(tasks_root: Path) -> None:
    """Also those of a router; and around another middleware, where no routes are to be seen, the method."""
    router = fastapi.APIRouter(prefix="/shop")

    @router.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    app = fastapi.FastAPI()
    app.include_router(router, prefix="/v1")
    around = AgentlogMiddleware(CORSMiddleware(app))
    app.add_middleware(AgentlogMiddleware)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/v1/shop/items/7")).json() == 7
        assert (await client.get("/v1/shop/items/x")).status_code == 422
        assert (await client.delete("/v1/shop/items/7")).status_code == 405
    async with httpx.AsyncClient(transport=httpx.ASGITransport(around), base_url="http://x") as client:
        assert (await client.get("/v1/shop/items/7")).json() == 7

    names = sorted(str((task.metadata() or {})["name"]) for task in list_tasks(tasks_root))
    assert names == ["DELETE /v1/shop/items/{item_id}", "GET", *["GET /v1/shop/items/{item_id}"] * 3]


HTTP = {"type": "http", "method": "GET", "path": "/x", "headers": []}


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "http"},
        {**HTTP, "headers": 7},
        {**HTTP, "path": None},
        {**HTTP, "headers": [(b"traceparent", b"\xff\xfe"), (b"baggage", b"=,=;\x00")]},
        {**HTTP, "app": type("App", (), {"routes": [object()]})()},
        {"type": "something new"},
    ],
)
async def test_the_application_runs_whatever_comes(scope: dict[str, Any], tasks_root: Path) -> None:
    """It gets the very messages and the very scope."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": "odd"})
        await send({"type": "http.response.body"})

    assert len(await call(AgentlogMiddleware(app), scope)) == 2
    readable = isinstance(scope.get("headers"), list)
    assert [str((task.metadata() or {})["name"]) for task in list_tasks(tasks_root)] == ["GET"] * readable


async def test_errors_pass(tasks_root: Path) -> None:
    """As they are, also those that are no errors."""
    for error in (ValueError("x"), KeyboardInterrupt(), asyncio.CancelledError(), SystemExit(2)):

        async def app(scope: Any, receive: Any, send: Any, error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as raised:
            await call(AgentlogMiddleware(app), dict(HTTP))
        assert raised.value is error
    assert agentlog.current_operation() is None
    outcomes = sorted(str((task.metadata() or {})["status"]) for task in list_tasks(tasks_root))
    assert outcomes == ["cancelled", "failed", "interrupted", "interrupted"]


@pytest.mark.parametrize("trusts", [False, True])
async def test_a_task_named_by_a_caller_is_continued_only_if_callers_are_trusted(trusts: bool, tasks_root: Path) -> None:
    """Whoever can send a request could write into any task otherwise."""
    seen: list[str | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(agentlog.current_task())

    task = agentlog.task("mine", task_id="t").start()
    headers = [(key.encode(), value.encode()) for key, value in task.carrier().items()]
    await call(AgentlogMiddleware(app, continue_tasks=trusts), {**HTTP, "headers": headers})
    task.end()

    assert (seen == ["t"]) == trusts
    assert {(each.metadata() or {})["trace_id"] for each in list_tasks(tasks_root)} == {task.trace_id}


async def test_the_end_of_the_server_flushes(tasks_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is told that all is done; startup and its state pass as they are."""
    order: list[str] = []
    monkeypatch.setattr(agentlog, "flush", lambda: order.append("flush"))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    sent = await call(AgentlogMiddleware(app), {"type": "lifespan"})
    assert ([message["type"] for message in sent], order) == (
        ["lifespan.startup.complete", "lifespan.shutdown.complete"],
        ["flush"],
    )
