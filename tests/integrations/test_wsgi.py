"""The WSGI middleware behind wsgiref, Flask and Django: one task per request, as the request went."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import flask
import httpx
import pytest

import otel_agentlog as agentlog
from otel_agentlog.integrations.wsgi import KEY, AgentlogWSGIMiddleware
from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.validation.validate import validate
from tests.support.waiting import wait_until


class Quiet(WSGIRequestHandler):
    """Prints nothing."""

    def log_message(self, *arguments: Any) -> None: ...


class Threads(ThreadingMixIn, WSGIServer):
    """A thread per request."""

    daemon_threads = True
    request_queue_size = 200

    def handle_error(self, request: Any, client_address: Any) -> None: ...


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The URL of an application behind wsgiref."""
    server = make_server("127.0.0.1", 0, app, server_class=Threads, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ended(root: Path, count: int = 1) -> list[dict[str, Any]]:
    """The metadata of that many tasks, once they have ended; all valid."""

    def found() -> list[dict[str, Any]]:
        done = [task.metadata() or {} for task in list_tasks(root)] if root.exists() else []
        return done if sum(task.get("completed_at") is not None for task in done) >= count else []

    done = wait_until(found, f"{count} tasks to end", timeout_s=60)
    assert [str(problem) for task in list_tasks(root) for problem in validate(task.folder).problems] == []
    return done


def reason(root: Path) -> Any:
    """Why the only task ended so."""
    (task,) = list_tasks(root)
    end = [line for line in task.events() if line["type"] == "task"][-1]
    return end.get("exception", {}).get("message") or end.get("reason")


def web() -> flask.Flask:
    """A Flask application with a route of each kind."""
    app = flask.Flask("web")
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.route("/orders/<int:number>", methods=["GET", "POST"])
    def order(number: int) -> Any:
        with agentlog.step("look up"):
            return {"task": agentlog.current_task(), "body": flask.request.get_data(as_text=True)}

    @app.route("/broken")
    def broken() -> Any:
        raise ValueError("out of stock")

    @app.route("/unavailable")
    def unavailable() -> Any:
        return "later", 503

    @app.route("/many")
    def many() -> Any:
        def parts() -> Iterator[str]:
            for number in range(10_000 if "all" in flask.request.args else 3):
                agentlog.current_operation().output(str(number))  # type: ignore[union-attr]
                yield "x" * 10_000

        return app.response_class(flask.stream_with_context(parts()))

    @app.route("/queued", methods=["POST"])
    def queued() -> Any:
        return flask.request.environ[KEY].carrier(hand_over=True)

    app.wsgi_app = AgentlogWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize(
    ("path", "name", "status", "why"),
    [
        ("/orders/7", "GET /orders/<int:number>", "completed", None),
        ("/nowhere", "GET", "completed", None),
        ("/broken", "GET /broken", "failed", "out of stock"),
        ("/unavailable", "GET /unavailable", "failed", "HTTP 503"),
        ("/many", "GET /many", "completed", None),
    ],
)
def test_a_request_of_flask_is_a_task(path: str, name: str, status: str, why: str | None, tasks_root: Path) -> None:
    """Named by its route; errors pass to the server; a stream ends with its body."""
    with served(web()) as url:
        httpx.get(url + path, timeout=60)
        (found,) = ended(tasks_root)

    assert (found["name"], found["status"], reason(tasks_root)) == (name, status, why)


def test_a_client_that_goes_is_a_cancellation(tasks_root: Path) -> None:
    """In the middle of a stream."""
    with served(web()) as url:
        with httpx.stream("GET", f"{url}/many?all", timeout=60) as answer:
            next(answer.iter_bytes())
        (found,) = ended(tasks_root)

    assert (found["status"], reason(tasks_root)) == ("cancelled", "client disconnected")


def test_many_at_once_in_the_callers_trace(tasks_root: Path) -> None:
    """Each has its own folder, answer and trace."""
    with served(web()) as url, ThreadPoolExecutor(40) as pool, httpx.Client(timeout=60) as client:

        def ask(number: int) -> tuple[int, dict[str, str]]:
            headers = {"traceparent": f"00-{number:032x}-b7ad6b7169203331-01"}
            return number, client.post(f"{url}/orders/{number}", content=f"body {number}", headers=headers).json()

        answers = list(pool.map(ask, range(1, 201)))
        found = {task["task_id"]: task["trace_id"] for task in ended(tasks_root, 200)}

    assert found == {answer["task"]: f"{number:032x}" for number, answer in answers}
    assert all(answer["body"] == f"body {number}" for number, answer in answers)
    assert agentlog.current_operation() is None


def test_a_request_hands_its_task_over(tasks_root: Path) -> None:
    """What it answers with is the carrier of the job."""
    with served(web()) as url:
        carrier = httpx.post(f"{url}/queued", timeout=60).json()
        wait_until(lambda: [(task.metadata() or {})["status"] for task in list_tasks(tasks_root)] == ["pending"], "the request")
    with agentlog.task(resume=carrier) as job:
        job.result = 7

    assert [task["status"] for task in ended(tasks_root)] == ["completed"]


DJANGO = """
import sys, django, otel_agentlog as agentlog
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG_PROPAGATE_EXCEPTIONS=False, LOGGING_CONFIG=None)
django.setup()
urlpatterns = [path("orders/<int:number>", lambda request, number: HttpResponse(agentlog.current_task()))]
from django.core.wsgi import get_wsgi_application
from otel_agentlog.integrations.wsgi import AgentlogWSGIMiddleware
from wsgiref.util import setup_testing_defaults
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off")
environ = {"PATH_INFO": "/orders/7"}
setup_testing_defaults(environ)
body = AgentlogWSGIMiddleware(get_wsgi_application())(environ, lambda status, headers: None)
print(b"".join(body).decode())
body.close()
"""


def test_a_request_of_django_is_a_task(tmp_path: Path) -> None:
    """Named by its route."""
    program = [sys.executable, "-c", DJANGO, str(tmp_path / "tasks")]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    (found,) = ended(tmp_path / "tasks")
    assert (found["name"], found["status"], found["task_id"]) == ("GET /orders/<int:number>", "completed", ran.stdout.strip())


# -- the protocol -------------------------------------------------------------------------------------------------------------


def answered(app: Callable[..., Iterable[bytes]], **environ: Any) -> tuple[list[bytes], Iterable[bytes]]:
    """The parts of an answer, and the body that the server got."""
    from wsgiref.util import setup_testing_defaults

    given: dict[str, Any] = {"PATH_INFO": "/x", **environ}
    setup_testing_defaults(given)
    body = AgentlogWSGIMiddleware(app)(given, lambda status, headers, *more: None)
    parts = list(body)
    getattr(body, "close", lambda: None)()
    return parts, body


def test_the_protocol_is_kept(tasks_root: Path) -> None:
    """By the word of the standard library's validator, around it and inside."""

    def app(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"a"]

    with served(validator(AgentlogWSGIMiddleware(validator(app)))) as url:
        assert httpx.get(url, timeout=60).text == "a"
    with served(AgentlogWSGIMiddleware(app)) as url:
        assert httpx.get(url, timeout=60).headers["content-length"] == "1"  # wsgiref has that of an answer of one part
    assert [task["status"] for task in ended(tasks_root, 2)] == ["completed"] * 2


def test_the_applications_body_is_closed(tasks_root: Path) -> None:
    """Once, and what it raises passes; the task ends as failed."""
    closed: list[int] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a"])

        def close(self) -> None:
            closed.append(1)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        answered(lambda environ, start: start("200 OK", []) or Body())
    assert closed == [1]
    assert [task["status"] for task in ended(tasks_root)] == ["failed"]
    assert agentlog.current_operation() is None


def test_a_file_is_left_to_the_server(tasks_root: Path, tmp_path: Path) -> None:
    """The server gets the very object, so that it can send the file by itself."""
    (tmp_path / "file").write_bytes(b"abc")
    opened = (tmp_path / "file").open("rb")
    wrapped = FileWrapper(opened)
    parts, body = answered(lambda environ, start: start("200 OK", []) or wrapped, **{"wsgi.file_wrapper": FileWrapper})
    assert (parts, body) == ([b"abc"], wrapped)
    assert [task["status"] for task in ended(tasks_root)] == ["completed"]


@pytest.mark.parametrize("environ", [{"PATH_INFO": None}, {"REQUEST_METHOD": 7}, {"HTTP_TRACEPARENT": "☃"}, {3: 4}])
def test_the_application_runs_whatever_comes(environ: dict[Any, Any], tasks_root: Path) -> None:
    """Also where the server's environment is none."""
    given = {"PATH_INFO": "/x", "REQUEST_METHOD": "GET", **environ}
    body = AgentlogWSGIMiddleware(lambda environ, start: start("odd", []) or [b"a"])(given, lambda status, headers: None)
    assert list(body) == [b"a"]
    getattr(body, "close", lambda: None)()
    assert agentlog.current_operation() is None
