"""Any exception has a category and advice, also those of packages that are not imported, also hostile ones."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import errno
import io
import json
import socket
import sqlite3
import subprocess
import threading
import urllib.error
from email.message import Message
from typing import Any

import anthropic
import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog import errors
from otel_agentlog.error_handling.advice import CAUSES, GENERAL
from otel_agentlog.error_handling.categories import categorize, error_details, register_category
from otel_agentlog.error_handling.category import ErrorCategory
from otel_agentlog.error_handling.known_categories import (
    BY_CLASS,
    BY_ERRNO,
    BY_STATUS,
    EXIT_CODES,
    MESSAGE_WORDS,
    NAME_ENDS,
    SERVICE_WORDS,
    WEAK,
)

REQUEST = httpx.Request("POST", "https://api.example.com/v1/messages")


def sqlite_error(statement: str) -> Exception:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        return raised(connection.execute, statement)


def raised(function: Any, *args: Any, **kwargs: Any) -> BaseException:
    try:
        function(*args, **kwargs)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def answer(status: int) -> httpx.Response:
    return httpx.Response(status, request=REQUEST)


def made(name: str, *bases: type[BaseException], module: str = "vendor.sdk", **attributes: Any) -> BaseException:
    """An exception of a class that no package here has."""
    kind = type(name, bases or (Exception,), {"__module__": module})
    error: BaseException = kind("something")
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


def caused(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


def http_error(code: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("https://x", code, "no", Message(), io.BytesIO())


def anthropic_status(status: int) -> BaseException:
    kind = {
        401: anthropic.AuthenticationError,
        403: anthropic.PermissionDeniedError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        529: anthropic.InternalServerError,
    }[status]
    return kind("no", response=answer(status), body=None)


def openai_status(status: int, code: str | None = None) -> BaseException:
    kind = openai.RateLimitError if status == 429 else openai.BadRequestError
    return kind("no", response=answer(status), body={"code": code} if code else None)


class Grpc(Exception):
    """Shaped like ``grpc.RpcError``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def code(self) -> Any:
        return type("StatusCode", (), {"name": self.name})


KNOWN = [
    (lambda: subprocess.TimeoutExpired("sleep", 1), "TIMEOUT"),
    (lambda: TimeoutError(), "TIMEOUT"),
    (lambda: asyncio.TimeoutError(), "TIMEOUT"),
    (lambda: httpx.ReadTimeout("slow", request=REQUEST), "TIMEOUT"),
    (lambda: httpx.ConnectTimeout("slow", request=REQUEST), "TIMEOUT"),
    (lambda: anthropic.APITimeoutError(REQUEST), "TIMEOUT"),
    (lambda: openai.APITimeoutError(REQUEST), "TIMEOUT"),
    (lambda: made("ReadTimeoutError", module="urllib3.exceptions"), "TIMEOUT"),
    (lambda: made("DeadlineExceeded"), "TIMEOUT"),
    (lambda: OSError(errno.ETIMEDOUT, "slow"), "TIMEOUT"),
    (lambda: made("Boom", status_code=504), "TIMEOUT"),
    (lambda: Grpc("DEADLINE_EXCEEDED"), "TIMEOUT"),
    (lambda: raised(json.loads, "{"), "VALIDATION"),
    (lambda: raised(b"\xff".decode), "VALIDATION"),
    (lambda: raised(lambda: {}["a"]), "VALIDATION"),
    (lambda: raised(int, "x"), "VALIDATION"),
    (lambda: raised(len, 1), "VALIDATION"),
    (lambda: raised(compile, "def", "f", "exec"), "VALIDATION"),
    (lambda: raised(open, "/no/such/file"), "VALIDATION"),
    (lambda: raised(open, "/tmp"), "VALIDATION"),
    (lambda: errors.ConfigurationError("no endpoint"), "VALIDATION"),
    (lambda: made("ValidationError", ValueError, module="pydantic_core._pydantic_core"), "VALIDATION"),
    (lambda: http_error(404), "VALIDATION"),
    (lambda: http_error(422), "VALIDATION"),
    (lambda: openai_status(400, "context_length_exceeded"), "VALIDATION"),
    (lambda: sqlite_error("nonsense"), "DEPENDENCY"),
    (lambda: raised(__import__, "no_such_package"), "DEPENDENCY"),
    (lambda: raised(subprocess.run, ["no-such-program"]), "DEPENDENCY"),
    (lambda: subprocess.CalledProcessError(127, "x"), "DEPENDENCY"),
    (lambda: ConnectionRefusedError(errno.ECONNREFUSED, "no"), "DEPENDENCY"),
    (lambda: ConnectionResetError(), "DEPENDENCY"),
    (lambda: socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "DEPENDENCY"),
    (lambda: httpx.ConnectError("no", request=REQUEST), "DEPENDENCY"),
    (lambda: anthropic.APIConnectionError(request=REQUEST), "DEPENDENCY"),
    (lambda: anthropic_status(500), "DEPENDENCY"),
    (lambda: anthropic_status(529), "DEPENDENCY"),
    (lambda: made("ClientConnectorError", OSError, module="aiohttp.client_exceptions"), "DEPENDENCY"),
    (lambda: http_error(503), "DEPENDENCY"),
    (lambda: urllib.error.URLError(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")), "DEPENDENCY"),
    (lambda: errors.IntegrationError("jira"), "DEPENDENCY"),
    (lambda: errors.DatabaseError("no answer"), "DEPENDENCY"),
    (lambda: subprocess.CalledProcessError(3, "x"), "EXECUTION"),
    (lambda: subprocess.CalledProcessError(-9, "x"), "EXECUTION"),
    (lambda: AssertionError("1 != 2"), "EXECUTION"),
    (lambda: raised(lambda: None.x), "EXECUTION"),  # type: ignore[attr-defined]
    (lambda: ZeroDivisionError(), "EXECUTION"),
    (lambda: RuntimeError("odd"), "EXECUTION"),
    (lambda: errors.WorktreeError("dirty"), "EXECUTION"),
    (lambda: errors.TmuxError("no session"), "EXECUTION"),
    (lambda: errors.InstanceError("silent"), "EXECUTION"),
    (lambda: errors.TaskError("lost"), "EXECUTION"),
    (lambda: made("ConflictError", status_code=409), "EXECUTION"),
    (lambda: PermissionError(errno.EACCES, "no"), "PERMISSION"),
    (lambda: OSError(errno.EROFS, "no"), "PERMISSION"),
    (lambda: anthropic_status(401), "PERMISSION"),
    (lambda: anthropic_status(403), "PERMISSION"),
    (lambda: made("ClientError", response={"Error": {"Code": "AccessDenied"}}, module="botocore.exceptions"), "PERMISSION"),
    (lambda: subprocess.CalledProcessError(126, "x"), "PERMISSION"),
    (lambda: Grpc("UNAUTHENTICATED"), "PERMISSION"),
    (lambda: anthropic_status(429), "RESOURCE"),
    (lambda: openai_status(429), "RESOURCE"),
    (lambda: openai_status(429, "insufficient_quota"), "RESOURCE"),
    (lambda: made("HTTPError", response=answer(429), module="requests.exceptions"), "RESOURCE"),
    (lambda: made("ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 429}}), "RESOURCE"),
    (lambda: made("ClientResponseError", status=429, module="aiohttp"), "RESOURCE"),
    (lambda: MemoryError(), "RESOURCE"),
    (lambda: made("OutOfMemoryError", RuntimeError, module="torch.cuda"), "RESOURCE"),
    (lambda: OSError(errno.ENOSPC, "full"), "RESOURCE"),
    (lambda: OSError(errno.EMFILE, "many"), "RESOURCE"),
    (lambda: OSError(errno.EADDRINUSE, "taken"), "RESOURCE"),
    (lambda: RecursionError(), "RESOURCE"),
    (lambda: sqlite3.OperationalError("database is locked"), "RESOURCE"),
    (lambda: RuntimeError("can't start new thread"), "RESOURCE"),
    (lambda: Exception("odd"), "UNKNOWN"),
    (lambda: made("Odd"), "UNKNOWN"),
    (lambda: KeyboardInterrupt(), "UNKNOWN"),
]


@pytest.mark.parametrize(("make", "category"), KNOWN)
def test_the_category_of_a_known_error(make: Any, category: str) -> None:
    """Errors of the standard library, HTTP clients, provider SDKs, clouds, databases and our own tree."""
    error = make()

    assert categorize(error) == category
    assert len(error_details(error).suggestions) >= 3


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (caused(RuntimeError("agent failed"), TimeoutError()), "TIMEOUT"),
        (caused(errors.IntegrationError("github"), made("X", status_code=403)), "PERMISSION"),
        (caused(errors.DatabaseError("no"), caused(Exception("a"), OSError(errno.ENOSPC, "full"))), "RESOURCE"),
        (caused(KeyError("a"), TimeoutError()), "VALIDATION"),
        (Exception("the operation timed out"), "TIMEOUT"),
        (caused(Exception("odd"), Exception("odd, too")), "UNKNOWN"),
    ],
)
def test_what_says_little_is_judged_by_what_is_behind_it(error: BaseException, category: str) -> None:
    """A generic exception takes the category of its nearest cause that says more; one that says something keeps its own."""
    assert categorize(error) == category


def test_what_was_being_handled_counts_unless_it_was_ruled_out() -> None:
    """``__context__`` is followed, ``raise … from None`` ends the chain."""

    def fail(suppress: bool) -> None:
        try:
            raise PermissionError(errno.EACCES, "no")
        except PermissionError:
            if suppress:
                raise RuntimeError("odd") from None
            raise RuntimeError("odd")

    assert categorize(raised(fail, False)) == "PERMISSION"
    assert categorize(raised(fail, True)) == "EXECUTION"


def test_a_group_has_the_category_of_most_of_its_errors() -> None:
    """Groups are looked into, however nested, whatever their class."""

    class Group(Exception):
        def __init__(self, *inner: BaseException) -> None:
            self.exceptions = inner

    inner = Group(ValueError(), TimeoutError())

    assert categorize(Group(TimeoutError(), inner)) == "TIMEOUT"
    if (native := getattr(builtins, "ExceptionGroup", None)) is not None:
        assert categorize(native("g", [MemoryError(), native("h", [OSError(errno.ENOSPC, "x")])])) == "RESOURCE"


@pytest.mark.parametrize("rule", [LookupError, "KeyError", "builtins.KeyError", lambda error: isinstance(error, KeyError)])
def test_a_users_rule_comes_first(rule: Any) -> None:
    """Given as class, as name and as function; it brings its own advice and can be taken back."""
    forget = register_category(rule, "DEPENDENCY", suggestions=["Ask Ada."])
    try:
        assert categorize(KeyError("a")) is ErrorCategory.DEPENDENCY
        assert error_details(KeyError("a")).suggestions[0] == "Ask Ada."
        assert len(error_details(KeyError("a")).suggestions) >= 3
        assert categorize(caused(RuntimeError(), KeyError("a"))) == "DEPENDENCY"
    finally:
        forget()
    assert categorize(KeyError("a")) == "VALIDATION"


def test_a_rule_that_raises_says_no() -> None:
    """A user's function cannot cost the record of the error it looks at."""
    forget = register_category(lambda error: 1 // 0, "TIMEOUT")
    try:
        assert categorize(KeyError("a")) == "VALIDATION"
    finally:
        forget()


@pytest.mark.parametrize("rule", [int, 7, None])
def test_a_rule_that_is_none_is_refused(rule: Any) -> None:
    """So is a category that does not exist."""
    with pytest.raises(TypeError, match="expected a class"):
        register_category(rule, "TIMEOUT")
    with pytest.raises(ValueError, match="BAD"):
        register_category(ValueError, "BAD")


def test_rules_can_be_registered_while_errors_are_categorized() -> None:
    """Threads that register and forget do not disturb those that ask."""
    stop = threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        while not stop.is_set():
            if categorize(TimeoutError()) not in ("TIMEOUT", "RESOURCE"):
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        register_category(TimeoutError, "RESOURCE")()
    stop.set()
    for thread in threads:
        thread.join(30)

    assert wrong == []


class Hostile(Exception):
    """Raises whatever it is asked."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__dict__"):
            return object.__getattribute__(self, name)
        raise ZeroDivisionError(name)

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Lying(Exception):
    """Has every attribute, each of a wrong kind."""

    def __getattr__(self, name: str) -> Any:
        return [object()]


def circle() -> BaseException:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    return first


class Endless(Exception):
    """A group that contains a new group, without end."""

    @property
    def exceptions(self) -> tuple[BaseException, ...]:
        return (Endless(), Endless())


@pytest.mark.parametrize("make", [Hostile, Lying, circle, Endless, lambda: Exception("x" * 20_000_000)])
def test_hostile_exceptions_are_categorized_too(make: Any) -> None:
    """Nothing is raised, nothing goes on for ever."""
    error = make()

    assert isinstance(categorize(error), ErrorCategory)
    assert len(error_details(error).suggestions) >= 3


def test_details_are_redacted_and_complete() -> None:
    """`error_details` gathers what is known; context given there stands beside the error's own."""

    def fail() -> None:
        raise errors.WorktreeError("cannot remove", context={"branch": "main"})

    details = error_details(raised(fail), attempt=2)

    assert details.category is ErrorCategory.EXECUTION
    assert details.message == "WorktreeError: cannot remove"
    assert details.context == {"branch": "main", "attempt": 2}
    assert "git worktree list" in details.suggestions[0]
    assert details.stack_trace.endswith("WorktreeError: cannot remove\n")
    assert json.loads(json.dumps(details.as_dict()))["category"] == "EXECUTION"


def test_every_cause_that_the_tables_name_exists_and_has_advice() -> None:
    """Each category has at least three general suggestions; more than twenty causes have special ones."""
    named = {*BY_CLASS.values(), *WEAK.values(), *BY_ERRNO.values(), *BY_STATUS.values(), *EXIT_CODES.values()}
    named |= {cause for _, cause in (*NAME_ENDS, *SERVICE_WORDS, *MESSAGE_WORDS)}

    assert named <= set(CAUSES)
    assert set(GENERAL) == set(ErrorCategory)
    assert all(len(set(texts)) >= 3 for texts in GENERAL.values())
    assert sum(bool(cause.suggestions) for cause in CAUSES.values()) >= 20


@settings(deadline=None)
@given(
    st.sampled_from(["status_code", "status", "code", "response", "returncode", "errno", "exceptions", "type"]),
    st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers())),
)
def test_any_attribute_of_any_kind_is_survived(name: str, value: Any) -> None:
    """Whatever stands where a status or a code is looked for."""
    error = Exception("x")
    setattr(error, name, value)

    assert isinstance(categorize(error), ErrorCategory)
