"""Texts of exceptions are those that Python shows, and those that cannot be had cost a moment and no more."""

from __future__ import annotations

import _thread
import io
import json
import logging
import os
import pathlib
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NoReturn

import httpx
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.error_handling.categories import classify
from otel_agentlog.record.exceptions import timeout_call as timeouts
from otel_agentlog.record.exceptions.bounded_repr import MAX_CHARACTERS, BoundedRepr, cut
from otel_agentlog.record.exceptions.describe import MAX_FRAMES, message_and_traceback, message_of
from otel_agentlog.record.exceptions.timeout_call import MAX_STUCK, TimedOut, timeout_call
from otel_agentlog.record.logs.line import interpolated, text_of
from otel_agentlog.testing import MemorySink, recording
from tests.record.hostile_values import HOSTILE, BadText, Blocking, Meta, Untouchable
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def nothing_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins without calls of others that are stuck."""
    monkeypatch.setattr(timeouts, "_running", set())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine must not look like code that does not return."""
    monkeypatch.setattr(timeouts, "TIMEOUT_S", 60)


class Stuck:
    """Answers when it is released, in each of its texts."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __str__(self) -> str:
        self.released.wait(600)
        return "released"

    __repr__ = __str__


class OfItsOwn(Exception):
    """Makes its text itself."""

    def __str__(self) -> str:
        return f"of its own: {self.args}"


class Gone(Exception):
    """Blocks in its own text."""

    def __str__(self) -> str:
        time.sleep(3600)
        return ""


def raised(error: BaseException) -> BaseException:
    """The exception with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def _caught(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def _chained(error: BaseException, cause: BaseException) -> BaseException:
    try:
        raise error from raised(cause)
    except BaseException as caught:
        return caught


class _Row(pydantic.BaseModel):
    count: int


ORDINARY: dict[str, Callable[[], BaseException]] = {
    "without args": lambda: ValueError(),
    "text": lambda: ValueError("bad size"),
    "texts": lambda: ValueError("bad size", 5, None, 1.5, True, b"x"),
    "containers": lambda: ValueError({"a": [1, (2,), {"b"}]}),
    "path": lambda: ValueError(pathlib.Path("/tmp/x"), uuid.UUID(int=1)),
    "key": lambda: _caught(lambda: {}["x"]),
    "keys": lambda: KeyError("a", "b"),
    "missing file": lambda: _caught(lambda: pathlib.Path("/nowhere/x").read_bytes()),
    "missing folder": lambda: _caught(lambda: os.listdir(pathlib.Path("/nowhere"))),
    "two files": lambda: _caught(lambda: os.rename("/nowhere/a", "/nowhere/b")),
    "os error of one": lambda: OSError("plain"),
    "attribute": lambda: _caught(lambda: "".nothing),  # type: ignore[attr-defined]
    "name": lambda: _caught(lambda: undefined_name),  # type: ignore[name-defined]  # noqa: F821
    "import": lambda: _caught(lambda: __import__("no_such_package")),
    "import from": lambda: ImportError("cannot import", name="a", path="b"),
    "unicode": lambda: _caught(lambda: b"\xff".decode()),
    "surrogate": lambda: _caught(lambda: "\ud800".encode()),
    "syntax": lambda: _caught(lambda: compile("a = = 1\n", "f.py", "exec")),
    "stop": lambda: StopIteration(5),
    "exit": lambda: SystemExit(3),
    "division": lambda: _caught(lambda: 1 // 0),
    "timeout": lambda: TimeoutError(),
    "command": lambda: subprocess.CalledProcessError(2, ["ls", "-l"], b"out", b"err"),
    "expired": lambda: subprocess.TimeoutExpired("ls", 2.5),
    "json": lambda: _caught(lambda: json.loads("{")),
    "validation": lambda: _caught(lambda: _Row(count="x")),  # type: ignore[arg-type]
    "http status": lambda: _caught(
        lambda: httpx.Response(503, request=httpx.Request("GET", "http://127.0.0.1/")).raise_for_status()
    ),
    "connection": lambda: httpx.ConnectError("refused", request=httpx.Request("GET", "http://127.0.0.1/")),
    "of its own": lambda: OfItsOwn("a", 1),
    "of an error": lambda: ValueError(ValueError("inner")),
    "of an error of its own": lambda: ValueError("outer", OfItsOwn("inner")),
    "of a file": lambda: ValueError(io.StringIO),
    "cause": lambda: _chained(ValueError("outer"), KeyError("inner")),
    "cause of its own": lambda: _chained(ValueError("outer"), OfItsOwn("inner")),
    "lines": lambda: ValueError("first\nsecond\n\nlast"),
    "local class": lambda: type("Outer.Local", (RuntimeError,), {})("x"),
}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_exceptions_are_told_as_python_tells_them(name: str) -> None:
    """Message and traceback are exactly those of ``str`` and ``traceback``."""
    error = raised(ORDINARY[name]())

    message, printed = message_and_traceback(error)

    assert message == message_of(error) == str(error)
    assert printed == "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _fail(depth: int) -> None:
    if not depth:
        raise RuntimeError("at the bottom")
    _fail(depth - 1)


PLACES: dict[str, Callable[[], object]] = {
    "one frame": lambda: [1 / 0 for _ in range(2)],
    "some frames": lambda: _fail(2),
    "a recursion": lambda: _fail(40),
    "more frames than are printed": lambda: _fail(100),
    "several lines": lambda: int(
        "no number",
    ),
    "no source": lambda: exec("raise ValueError('e')"),
    "an exit": lambda: sys.exit(3),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_printed_the_same_each_time(place: str) -> None:
    """The first time by Python, afterwards from what is kept of it; the same for another error from there."""
    for _ in range(3):
        with pytest.raises((ArithmeticError, RuntimeError, ValueError, SystemExit)) as raised_there:
            PLACES[place]()
        error = raised_there.value
        expected = traceback.format_exception(type(error), error, error.__traceback__, limit=MAX_FRAMES)
        assert message_and_traceback(error) == (str(error), "".join(expected))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has neither notes nor groups")
@pytest.mark.usefixtures("patient")
def test_notes_and_groups_are_told_as_python_tells_them() -> None:
    """Groups in groups, with notes, plain or not."""
    for inner in (KeyError("k"), OfItsOwn("x")):
        inner.add_note("a note\nof two lines")  # type: ignore[attr-defined, unused-ignore]
        group = ExceptionGroup("all", [raised(inner), ExceptionGroup("some", [OSError(2, "No such file", "x")])])  # type: ignore[name-defined, unused-ignore]  # noqa: F821
        group.add_note("of all")
        error = raised(group)

        assert message_and_traceback(error) == (str(error), "".join(traceback.format_exception(error)))


@given(
    st.lists(
        st.one_of(
            st.text(),
            st.binary(),
            st.integers(),
            st.floats(),
            st.none(),
            st.lists(st.text()),
            st.dictionaries(st.text(), st.integers()),
        )
    )
)
def test_plain_arguments_give_the_text_of_str(args: list[Any]) -> None:
    """Whatever builtin values an exception is raised with."""
    for kind in (ValueError, KeyError, OSError):
        error = kind(*args)

        assert message_and_traceback(error) == (str(error), "".join(traceback.format_exception(error)))


def _blocked() -> Iterator[tuple[str, BaseException, str]]:
    yield "argument", ValueError(Blocking()), "<tests.record.hostile_values.Blocking>"
    yield "arguments", ValueError("a", Blocking()), "('a', <tests.record.hostile_values.Blocking>)"
    yield "within", KeyError({"k": [Blocking()]}), "{'k': [<tests.record.hostile_values.Blocking>]}"
    yield "file name", OSError(2, "No such file", Blocking()), "[Errno 2] No such file: <tests.record.hostile_values.Blocking>"
    yield "text", Gone("x", 1), "<Gone whose __str__ does not return>: ('x', 1)"


@pytest.mark.parametrize("name", [name for name, _, _ in _blocked()])
def test_what_blocks_is_told_without_asking_it(name: str) -> None:
    """Message, frames and chain are there; of what blocks the class."""
    _, error, expected = next(row for row in _blocked() if row[0] == name)

    message, printed = message_and_traceback(_chained(error, ValueError("the cause")))

    assert message == expected
    assert printed.startswith("Traceback (most recent call last):\n")
    assert "ValueError: the cause" in printed
    assert "The above exception was the direct cause of the following exception" in printed
    assert printed.count("raise error") == 2
    assert printed.endswith(f"{expected}\n")


def test_what_blocks_elsewhere_in_the_chain_costs_nothing_but_its_text() -> None:
    """A cause, a member or a note that blocks leaves all else as it is."""
    message, printed = message_and_traceback(_chained(OfItsOwn("outer"), ValueError(Blocking())))

    assert message == "of its own: ('outer',)"
    assert "ValueError: <tests.record.hostile_values.Blocking>\n" in printed
    assert printed.endswith("OfItsOwn: of its own: ('outer',)\n")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has neither notes nor groups")
def test_a_group_with_a_member_that_blocks_looks_like_a_group() -> None:
    """Names, members and notes stand where Python puts them."""
    group = ExceptionGroup("all", [ValueError(Blocking()), KeyError("k")])  # type: ignore[name-defined, unused-ignore]  # noqa: F821
    group.add_note("a note")
    group.__notes__.append(Blocking())

    message, printed = message_and_traceback(raised(group))

    assert message == "all (2 sub-exceptions)"
    for part in (
        "ExceptionGroup: all (2 sub-exceptions)",
        "| ValueError: <tests.record.hostile_values.Blocking>",
        "| KeyError: 'k'",
    ):
        assert part in printed
    assert "| a note" in printed
    assert "| <tests.record.hostile_values.Blocking>" in printed


def test_what_was_silent_is_not_asked_again_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread waits for it, however often it is met; when it has answered it is asked as before."""
    monkeypatch.setattr(timeouts, "TIMEOUT_S", 0.05)
    stuck = Stuck()
    error = ValueError(stuck)
    started, start = [], _thread.start_new_thread
    monkeypatch.setattr(_thread, "start_new_thread", lambda *given: (started.append(given), start(*given))[1])

    assert [message_of(error) for _ in range(50)] == ["<tests.record.exceptions.test_error_texts.Stuck>"] * 50
    assert len(started) == 1

    monkeypatch.setattr(timeouts, "TIMEOUT_S", 60)
    stuck.released.set()
    wait_until(lambda: not timeouts._running, "the answer", timeout_s=60)
    assert message_of(error) == "released"


def test_only_so_many_questions_wait_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that nobody is asked, so that a process cannot fill with threads."""
    monkeypatch.setattr(timeouts, "TIMEOUT_S", 0.02)
    release = threading.Event()
    before = _thread._count()
    for number in range(3 * MAX_STUCK):
        with pytest.raises(TimedOut):
            timeout_call(lambda: release.wait(600), frozenset({type(f"Kind{number}", (), {})}))
    try:
        assert _thread._count() - before <= MAX_STUCK
    finally:
        release.set()


@pytest.mark.usefixtures("patient")
def test_texts_see_the_context_they_are_asked_in() -> None:
    """Context variables are those of the caller; a text may itself log or ask for texts."""
    language = ContextVar("language", default="none")

    class Translated(Exception):
        def __str__(self) -> str:
            return f"{language.get()}: {message_of(OfItsOwn('inner'))}"

    language.set("de")

    assert message_of(Translated()) == "de: of its own: ('inner',)"


@pytest.mark.usefixtures("patient")
def test_a_text_that_asks_for_itself_ends() -> None:
    """It runs out of stack, as it does without us."""

    class Mirror(Exception):
        def __str__(self) -> str:
            return message_and_traceback(self)[0]

    assert "Mirror" in message_of(Mirror("x"))


@pytest.mark.usefixtures("patient")
def test_what_raises_is_told_by_its_arguments() -> None:
    """Neither texts nor classes that raise get out."""
    assert message_of(BadText("x")) == "<BadText whose __str__ raises>: x"
    assert message_of(ValueError(Untouchable())) == "<tests.record.hostile_values.Untouchable>"
    of_meta = Meta("Odd", (Exception,), {})("x")
    message, printed = message_and_traceback(of_meta)
    assert message == "x"
    assert printed.endswith("Odd: x\n")


@pytest.mark.parametrize("size", [MAX_CHARACTERS + 1, 1_000_000])
@pytest.mark.parametrize(
    "make",
    [
        lambda size: "word " * (size // 5 + 1),
        lambda size: b"\x01" * size,
        lambda size: list(range(size)),
        lambda size: [["x" * 50] * 20] * (size // 1000),
    ],
)
def test_large_texts_are_cut_everywhere(make: Callable[[int], Any], size: int) -> None:
    """The message, the traceback, and what is said of exceptions within."""
    for error in (
        ValueError(make(size)),
        KeyError(make(size), 1),
        OfItsOwn(make(size)),
        _chained(ValueError("x"), OfItsOwn(make(size))),
    ):
        message, printed = message_and_traceback(raised(error))

        assert len(message) <= MAX_CHARACTERS + 200
        assert len(printed) <= 5 * MAX_CHARACTERS
        assert message.startswith(str(error)[:50]) or "whose" in message
        assert "raise error" in printed


def test_long_chains_are_cut() -> None:
    """The nearest exceptions are told."""
    error: BaseException = ValueError("0")
    for number in range(1, 2_000):
        error = _chained(ValueError(str(number)), error) if number < 1_900 else raised(_linked(number, error))

    message, printed = message_and_traceback(error)

    assert message == "1999"
    assert printed.endswith("ValueError: 1999\n")
    assert printed.count("direct cause") < 40


def _linked(number: int, cause: BaseException) -> BaseException:
    error = ValueError(str(number))
    error.__cause__ = cause
    return error


@given(st.text(max_size=300), st.integers(0, 200))
def test_a_cut_text_is_a_beginning(text: str, most: int) -> None:
    """Never longer than asked for, but for the words that say how much is missing."""
    kept, mark, _ = cut(text, most).partition("…[truncated: ")

    assert text.startswith(kept)
    assert len(kept) <= most or kept == text
    assert mark or kept == text or "…[truncated: " in text


@pytest.mark.parametrize("offset", range(0, 60, 7))
def test_no_half_of_a_secret_is_left_where_a_text_is_cut(offset: int) -> None:
    """Neither of a key in a sentence, nor of a private key of many lines."""
    secret = "sk-ant-" + "api03-Zx8Kp2Qw7Lm4Nv9Rt6Yb3" * 3
    block = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEow\n" * 200 + "-----END RSA PRIVATE KEY-----"
    for hidden in (f'{{"key":"{secret}"}}', block):
        text = "a " * ((MAX_CHARACTERS - offset) // 2) + hidden + " word" * 10_000
        message = message_of(ValueError(text))

        assert "sk-ant" not in message or secret in message
        assert "BEGIN RSA" not in message


@pytest.mark.parametrize("name", HOSTILE)
def test_every_hostile_object_has_a_text_by_every_way(name: str) -> None:
    """As argument, as message, and for ``%s``."""
    value = HOSTILE[name]()

    assert len(message_of(ValueError("x", value))) <= MAX_CHARACTERS + 200
    assert type(text_of(value)) is str
    assert type(BoundedRepr(value).text) is str
    assert interpolated("%s", (value, "more"))[1] is False


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("%s and %d", ("a", 5)),
        ("%(a)s", ({"a": 1},)),
        ("%s", (pathlib.Path("/x"),)),
        ("%r", (OfItsOwn(1),)),
        ("%.2f %s", (1.5, [OfItsOwn(1)])),
    ],
)
def test_log_texts_are_those_of_stdlib(text: str, args: tuple[Any, ...]) -> None:
    """Plain arguments and foreign ones alike."""
    expected = logging.LogRecord("", 20, "", 0, text, args, None).getMessage()

    assert interpolated(text, args) == (expected, True)


def test_the_end_of_a_step_does_not_wait_for_a_text() -> None:
    """Step, attempt and log line are all there, with category and traceback."""
    with recording() as recorded:
        with pytest.raises(ValueError), agentlog.step("s"):
            _raise(ValueError(Blocking()))
        with agentlog.ai_call("m", provider="p") as call:
            call.attempt_failed(Gone("x"))
        agentlog.get_logger("l").warning("it is %s", Blocking())
    said = _lines(recorded)

    assert said[0]["exception"]["message"] == "<tests.record.hostile_values.Blocking>"
    assert any("in _raise" in line for line in said[0]["exception"]["traceback"])
    assert any(line.get("details", {}).get("reason") == "<Gone whose __str__ does not return>: x" for line in said)
    assert any(line["message"] == "it is <tests.record.hostile_values.Blocking>" for line in said)


def _raise(error: BaseException) -> NoReturn:
    raise error


def _lines(recorded: MemorySink) -> list[dict[str, Any]]:
    return [line for line in recorded.lines if "exception" in line or line["type"] in ("attempt", "log")]


def test_a_property_that_blocks_does_not_block_the_category() -> None:
    """Categories are found by looking at attributes."""

    class Lazy(Exception):
        @property
        def response(self) -> object:
            time.sleep(3600)
            return None

    with recording(classify=classify) as recorded, pytest.raises(Lazy), agentlog.step("s"):
        raise Lazy("x")

    assert recorded.ends()[0]["exception"]["message"] == "x"


_FORKING = """
import os, threading
from otel_agentlog.record.exceptions import timeout_call as timeouts
from otel_agentlog.record.exceptions.describe import message_of

class Stuck:
    def __init__(self):
        self.released = threading.Event()

    def __str__(self):
        self.released.wait(600)
        return "released"

stuck = Stuck()
timeouts.TIMEOUT_S = 0.05
assert message_of(ValueError(stuck)) == "<__main__.Stuck>"
if os.fork() == 0:
    timeouts.TIMEOUT_S = 60
    stuck.released = threading.Event()
    stuck.released.set()
    print(message_of(ValueError(stuck)), flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_child_of_a_fork_asks_for_itself() -> None:
    """What was silent in the parent has no thread in the child; and a process ends although something is silent."""
    ran = subprocess.run([sys.executable, "-c", _FORKING], capture_output=True, text=True, check=True, timeout=120)

    assert ran.stdout == "released\n"
