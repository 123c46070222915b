"""The console: how lines look, what never reaches a terminal, and streams that do not work."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.record.collaborators import Failures
from otel_agentlog.record.logs.console import STALL_S, ConsoleSink, console_sink, wants_colour
from otel_agentlog.record.logs.console_format import (
    Layout,
    human,
    json_text,
    seed_fields,
    value_text,
)
from otel_agentlog.record.logs.levels import configure_logs, put_in_use
from otel_agentlog.record.logs.logger import get_logger
from otel_agentlog.record.logs.stdlib_bridge import install_stdlib, uninstall_stdlib
from otel_agentlog.record.recorder import Cleaning, Recorder, recorder, use
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.testing import MemorySink
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.terminal_text import cut, safe, width
from tests.support.waiting import wait_until

NOW_NS = 1_795_238_521_123_456_789
LINE: dict[str, Any] = {
    "timestamp": "2026-11-21T05:22:01.123456789Z",
    "type": "log",
    "level": "INFO",
    "component": "file_operations",
    "logger": "reviewer.tools",
    "module": "tools",
    "function": "read",
    "line": 45,
    "message": "files read",
    "details": {"files": 3, "path": "a b.py"},
    "task_id": "task-3f9a0c12be77",
    "step_id": "plan",
    "trace_id": "0" * 31 + "1",
    "span_id": "0" * 15 + "2",
}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC, and everything is wanted."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    before = configure_logs("DEBUG")
    yield
    put_in_use(before)
    monkeypatch.undo()
    time.tzset()


def _line(**changes: Any) -> dict[str, Any]:
    return {**LINE, **changes}


def _envelope(**changes: Any) -> Envelope:
    return Envelope(_line(**changes), None, NOW_NS)


# -- for people ----------------------------------------------------------------------------------------------------------


def test_one_line() -> None:
    """Time of day to the millisecond, level, who speaks, message, details, short ids."""
    assert human(LINE, NOW_NS) == '05:22:01.123 INFO  file_operations  files read  files=3 path="a b.py" [3f9a0c12 plan]\n'


@pytest.mark.parametrize(("style", "most"), [("human", 100), ("json", 15)])
def test_a_shown_line_is_few_calls(style: str, most: int, tmp_path: Path) -> None:
    """A line with six fields, as they are counted by the interpreter."""
    details = {"files": 3, "path": "/home/ann/x.py", "ratio": 0.5, "ok": True, "name": "abc", "n": 12}
    line = {
        "type": "log",
        "level": "INFO",
        "component": "runner",
        "message": "files read",
        "details": details,
        "task_id": "task-7",
    }
    envelope, calls = Envelope(line, None, time.time_ns()), 0

    def count(frame: Any, event: str, what: Any) -> None:
        nonlocal calls
        calls += event == "call"

    with (tmp_path / "shown").open("w") as stream:
        sink = ConsoleSink(stream, style=style, colour=True, columns=100)
        sink(envelope)
        sys.setprofile(count)
        try:
            sink(envelope)
        finally:
            sys.setprofile(None)

    assert calls <= most
    assert (tmp_path / "shown").read_text().count("/home/ann/x.py") == 2


def test_wide_terminals_see_the_origin() -> None:
    """From 120 columns on, logger and line number are there too."""
    assert human(LINE, NOW_NS, Layout(columns=120)).endswith("[3f9a0c12 plan] reviewer.tools:45\n")


def test_narrow_terminals_wrap_at_words() -> None:
    """What does not fit goes on below, indented; nothing is broken in the middle."""
    line = _line(message="a message that is rather long", details={"path": "x" * 60})

    assert human(line, NOW_NS, Layout(columns=40)).splitlines() == [
        "05:22:01.123 INFO  file_operat… a",
        "    message that is rather long",
        "    path=" + "x" * 30 + "…",
        "    [3f9a0c12 plan]",
    ]


def test_an_exception_below_its_line() -> None:
    """Traceback line by line, then error id and category, then what one can do."""
    exception = {
        "type": "ValueError",
        "message": "boom",
        "error_id": "abc12345",
        "category": "EXECUTION",
        "suggestions": ["try again"],
        "traceback": ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "ValueError: boom"],
    }

    assert human(_line(level="ERROR", details={}, exception=exception), NOW_NS).splitlines()[1:] == [
        "    Traceback (most recent call last):",
        '      File "a.py", line 1, in f',
        "    ValueError: boom",
        "    [error abc12345, EXECUTION]",
        "    → try again",
    ]


def test_an_exception_seen_before() -> None:
    """Without a traceback there is one line that says where to look."""
    exception = {"type": "ValueError", "message": "boom", "error_id": "abc12345"}

    shown = human(_line(exception=exception), NOW_NS).splitlines()[1:]

    assert shown == ["    ValueError: boom [error abc12345, traceback where it was first seen]"]


def test_long_tracebacks_lose_their_middle() -> None:
    """The console shows the beginning and the end of a very long traceback."""
    shown = human(_line(exception={"type": "E", "message": "", "traceback": [f"row {n}" for n in range(500)]}), NOW_NS)

    assert "row 0\n" in shown
    assert "row 499\n" in shown
    assert "[440 lines left out]" in shown
    assert len(shown.splitlines()) < 70


def test_stack_and_further_lines_of_a_message_are_indented() -> None:
    """A message with line breaks cannot pass for several log lines."""
    fake = "05:22:01.123 INFO  web              forged"

    shown = human(_line(message=f"first\n{fake}", details={"stack_info": ["Stack", "  frame"], "a": 1}), NOW_NS).splitlines()

    assert shown[1:] == [f"    {fake}", "    a=1 [3f9a0c12 plan]", "    Stack", "      frame"]


def test_values() -> None:
    """Words are bare, other texts quoted, containers JSON, long ones cut; nothing of an unknown object but its type."""
    values = [
        1,
        2.5,
        1 / 3,
        None,
        True,
        "word",
        "two words",
        "",
        'q"q',
        "k=v",
        "a\nb",
        [1, {"a": "b c"}],
        {},
        object(),
        "x" * 500,
    ]

    shown = [value_text(value) for value in values]

    assert shown[:-1] == [
        "1",
        "2.5",
        "0.333333",
        "None",
        "True",
        "word",
        '"two words"',
        '""',
        '"q\'q"',
        '"k=v"',
        "a\\nb",
        '[1,{"a":"b c"}]',
        "{}",
        '"<object>"',
    ]
    assert shown[-1] == "x" * 119 + "…(+381)"


def test_lines_of_operations() -> None:
    """Lifecycle lines, where asked for, say the action, the name and the figures."""
    line = {
        "type": "ai_response",
        "level": "INFO",
        "component": "ai_service",
        "action": "api_response_received",
        "message": "claude",
        "duration_ms": 12.5,
        "details": {"input_tokens": 3, "output_tokens": 5, "cost_usd": None, "provider": "x"},
    }

    shown = human(line, NOW_NS)

    assert shown == (
        "05:22:01.123 INFO  ai_service       api_response_received claude  input_tokens=3 output_tokens=5 duration_ms=12.5\n"
    )


def test_colours_change_nothing_else() -> None:
    """With colours the text is the same, and every colour is switched off again on its line."""
    line = _line(level="ERROR", message="a b\nc", exception={"type": "E", "message": "m", "traceback": ["t"]})

    plain, coloured = human(line, NOW_NS, Layout(columns=80)), human(line, NOW_NS, Layout(colour=True, columns=80))

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain != coloured
    for row in coloured.splitlines():
        switches = re.findall(r"\x1b\[[0-9;]*m", row)
        assert [switch == "\x1b[0m" for switch in switches] == [False, True] * (len(switches) // 2)


@pytest.mark.parametrize(
    ("terminal", "values", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"no_color": "1"}, False),
        (True, {"no_color": ""}, True),
        (False, {"force_color": "1"}, True),
        (False, {"force_color": "1", "no_color": "1"}, False),
        (True, {"force_color": "0"}, False),
        (True, {"term": "dumb"}, False),
    ],
)
def test_whether_to_use_colours(terminal: bool, values: dict[str, str], expected: bool) -> None:
    """By the terminal and the conventions for the environment."""
    assert wants_colour(terminal, **values) is expected


# -- what never reaches a terminal ---------------------------------------------------------------------------------------


EVIL = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07\x9b2J\x1bPdcs\x1b\\ \u202eevil\u202c \u2066x\u2069 "
    "\x00\x07\x08 \u200b\ufeff\U000e0041 \ud800 \x85\u2028end"
)


def test_escape_sequences_and_hidden_characters_are_taken_out() -> None:
    """ANSI, OSC, C1, bidi, zero-width, tags: gone, a lone surrogate is U+FFFD, with the text around them kept."""
    assert safe(EVIL).split() == ["red", "evil", "x", "\ufffd", "end"]


_SHOWN_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ANYTHING = st.text(st.characters(codec=None) | st.sampled_from("\x1b[]\\\x07\x9b;m?0\n\r\u202e"), max_size=60)


@given(
    _ANYTHING,
    st.dictionaries(_ANYTHING, _ANYTHING | st.lists(_ANYTHING, max_size=3) | st.integers() | st.floats(), max_size=4),
    _ANYTHING,
    st.none() | st.integers(min_value=1, max_value=250),
)
def test_no_line_can_do_harm(message: str, details: dict[str, Any], other: str, columns: int | None) -> None:
    """Whatever stands in a line: no control character is shown, and only the first row begins at the left edge."""
    exception = {"type": other, "message": other, "error_id": other, "traceback": [other, message], "suggestions": [other]}
    line = _line(
        message=message,
        details=details,
        exception=exception,
        level=other,
        component=other,
        task_id=other,
        step_id=other,
        logger=other,
    )

    shown = human(line, NOW_NS, Layout(columns=columns))

    assert _SHOWN_CONTROL.search(shown) is None
    first, *further = shown.removesuffix("\n").split("\n")
    assert first.startswith("05:22:01.123 ")
    assert all(row.startswith("    ") for row in further)
    json.loads(json_text(_line(message="x")))


@given(
    st.text(st.characters(codec="utf-8"), max_size=80),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=80), max_size=4),
    st.integers(min_value=40, max_value=200),
)
def test_wrapped_rows_fit(message: str, values: list[str], columns: int) -> None:
    """No row of message, details and ids is wider than the terminal, wide characters counted as two."""
    line = _line(message=message.replace("\n", " "), details={f"k{n}": value for n, value in enumerate(values)})

    for row in human(line, NOW_NS, Layout(columns=columns)).splitlines():
        assert width(row) <= columns, row


@given(st.text(st.characters(codec="utf-8")), st.integers(min_value=1, max_value=30))
def test_cut_text_fits(text: str, columns: int) -> None:
    """Cut to a width, text is not wider."""
    text = safe(text)

    assert width(cut(text, columns)) <= columns


def test_huge_values_cost_little() -> None:
    """A message and values of megabytes, and containers of a million items, are looked at only at their beginning."""
    line = _line(
        message="m" * 20_000_000, details={"text": "t" * 20_000_000, "list": list(range(1_000_000)), "deep": _deep(5000)}
    )

    assert len(human(line, NOW_NS, Layout(columns=80))) < 5000


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# -- JSON ----------------------------------------------------------------------------------------------------------------


def test_seed_fields() -> None:
    """The fields in their order, each always there; then further ids where known."""
    exception = {"type": "E", "message": "m", "traceback": ["t"], "error_id": "e"}

    assert seed_fields(_line(exception=exception, instance_id="i-1")) == {
        "timestamp": "2026-11-21T05:22:01.123456789Z",
        "level": "INFO",
        "logger": "reviewer.tools",
        "message": "files read",
        "module": "tools",
        "function": "read",
        "line": 45,
        "context": {"files": 3, "path": "a b.py"},
        "task_id": "task-3f9a0c12be77",
        "instance_id": "i-1",
        "exception": exception,
        "component": "file_operations",
        "step_id": "plan",
        "trace_id": "0" * 31 + "1",
        "span_id": "0" * 15 + "2",
    }
    bare = seed_fields({"type": "log", "message": "x"})
    assert (bare["context"], bare["task_id"], bare["exception"], bare["line"]) == ({}, None, None, None)


# -- the sink ------------------------------------------------------------------------------------------------------------


def test_only_log_lines_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Starts and ends are shown only on request, stages and content never."""
    plain, talkative = ConsoleSink(), ConsoleSink(lifecycle=True)
    for kind in ("log", "task", "output", "state"):
        plain(_envelope(type=kind, message=f"plain {kind}"))
        talkative(_envelope(type=kind, message=f"talkative {kind}"))

    shown = capsys.readouterr().err
    assert re.findall(r"(?:plain|talkative) \w+", shown) == [
        "plain log",
        "talkative log",
        "talkative task",
        "talkative state",
    ]


def test_what_is_shown_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    """The console gets the cleaned line, in both styles."""
    sinks = [ConsoleSink(style="human"), ConsoleSink(style="json")]
    before = use(Recorder(sinks, cleaning=Cleaning(Cleaner(Redactor()), failed=Failures().note)))
    try:
        get_logger("app").info("log in", password="hunter2hunter2", files=3)
    finally:
        use(before)

    shown = capsys.readouterr().err
    assert shown.count("[redacted:password]") == 2
    assert "hunter2hunter2" not in shown


@pytest.mark.parametrize(("mode", "begins"), [("human", "05:22"), ("json", "{"), ("auto", "{")])
def test_modes(mode: str, begins: str) -> None:
    """``auto`` is JSON where nobody looks."""
    stream = io.StringIO()
    sink = console_sink(mode, stream=stream)
    assert sink is not None

    sink(_envelope())

    assert stream.getvalue().startswith(begins)
    assert console_sink("off") is None


def test_the_stream_is_looked_up_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Who replaces ``sys.stderr`` gets the lines."""
    sink = ConsoleSink()
    stream, sys.stderr = sys.stderr, io.StringIO()
    try:
        sink(_envelope(message="to theirs"))
        theirs = sys.stderr.getvalue()
    finally:
        sys.stderr = stream
    sink(_envelope(message="to pytest's"))

    assert "to theirs" in theirs
    assert "to pytest's" in capsys.readouterr().err


# -- streams that do not work --------------------------------------------------------------------------------------------


class _Raising(io.StringIO):
    def write(self, text: str) -> int:
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize("stream", [None, "closed", _Raising()])
def test_no_stream_at_all(stream: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``sys.stderr`` may be ``None``, closed or broken: lines are counted, nothing is raised or reported as lost."""
    if stream == "closed":
        stream = (tmp_path / "file").open("w")
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    sink = ConsoleSink()
    before = use(Recorder([sink]))
    try:
        get_logger("app").error("x")
        failures = dict(recorder().failures)
    finally:
        use(before)
        monkeypatch.undo()

    assert (sink.hidden, failures) == (1, {})


def _text_writer(fd: int) -> IO[str]:
    return io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), encoding="utf-8")


def test_a_pipe_whose_reader_is_gone() -> None:
    """A broken pipe is counted."""
    reader, writer = os.pipe()
    os.close(reader)
    sink = ConsoleSink(_text_writer(writer))

    sink(_envelope())

    assert sink.hidden == 1
    os.close(writer)


def test_a_pipe_nobody_reads() -> None:
    """A full pipe holds nobody up: lines are dropped and counted, and when it is read again the gap is told."""
    reader, writer = os.pipe()
    sink = ConsoleSink(_text_writer(writer))
    started = time.monotonic()
    while sink.hidden < 50:
        sink(_envelope(message="m" * 1000))
        assert time.monotonic() - started < 30
    os.set_blocking(reader, False)
    while _read(reader):
        pass

    sink(_envelope(message="again"))

    shown = _read(reader).decode()
    assert shown.startswith("[agentlog: lines that could not be shown here: 50]\n")
    assert "again" in shown
    os.close(reader)
    os.close(writer)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def test_lines_of_threads_are_not_mixed() -> None:
    """Long lines written to a pipe by several threads come out whole."""
    reader, writer = os.pipe()
    sink = ConsoleSink(_text_writer(writer), style="json")
    received = bytearray()

    def read() -> None:
        while data := os.read(reader, 65536):
            received.extend(data)

    def write(letter: str) -> None:
        for _ in range(50):
            sink(_envelope(message=letter * 9000))

    collector = threading.Thread(target=read)
    collector.start()
    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(writer)
    collector.join()
    os.close(reader)

    messages = [json.loads(row)["message"] for row in received.splitlines()]
    assert len(messages) == 200 - sink.hidden
    assert all(message == message[0] * 9000 for message in messages)


@pytest.fixture
def terminal() -> Iterator[tuple[int, IO[str]]]:
    """A real terminal of 60 columns: the side that shows it, and the stream programs write to."""
    shows, takes = os.openpty()
    fcntl.ioctl(takes, termios.TIOCSWINSZ, b"\x18\x00\x3c\x00\x00\x00\x00\x00")
    stream = _text_writer(takes)
    yield shows, stream
    stream.close()
    os.close(takes)
    os.close(shows)


def _all_shown(shows: int) -> str:
    """What a terminal hands over, in pieces, until nothing comes for a moment."""
    data = os.read(shows, 4096)
    while select.select([shows], [], [], 0.3)[0]:
        data += os.read(shows, 4096)
    return data.decode()


def test_a_terminal_is_human_and_knows_its_width(terminal: tuple[int, IO[str]]) -> None:
    """``auto`` on a terminal: for people, in colour, wrapped at its width, also after it was resized."""
    shows, stream = terminal
    sink = console_sink("auto", stream=stream, term="xterm")
    assert sink is not None
    sink(_envelope(message="m " * 40, details={}))
    rows = re.sub(r"\x1b\[[0-9;]*m", "", _all_shown(shows)).splitlines()
    fcntl.ioctl(stream.fileno(), termios.TIOCSWINSZ, b"\x18\x00\xc8\x00\x00\x00\x00\x00")
    sink(_envelope(message="m " * 40, details={}))

    assert max(len(row) for row in rows) <= 60
    assert len(rows) > 1
    assert len(_all_shown(shows).splitlines()) == 1


def test_a_terminal_nobody_shows(terminal: tuple[int, IO[str]]) -> None:
    """A terminal that stopped taking text, as over a stalled connection, holds nobody up."""
    _, stream = terminal
    sink = ConsoleSink(stream)
    started = time.monotonic()
    while sink.hidden < 20:
        sink(_envelope(message="m" * 500))
        assert time.monotonic() - started < 30

    assert os.get_blocking(stream.fileno())


def test_a_terminal_stopped_by_its_user(terminal: tuple[int, IO[str]]) -> None:
    """After Ctrl-S lines are dropped, after Ctrl-Q they are shown again."""
    shows, stream = terminal
    sink = ConsoleSink(stream)
    termios.tcflow(stream.fileno(), termios.TCOOFF)
    sink(_envelope(message="while stopped"))
    termios.tcflow(stream.fileno(), termios.TCOON)
    sink(_envelope(message="afterwards"))

    shown = _all_shown(shows)
    assert sink.hidden == 1
    assert "while stopped" not in shown
    assert "could not be shown here: 1]" in shown
    assert "afterwards" in shown


_FORKS = """
import os, sys, threading
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.record.logs.console import ConsoleSink
sink = ConsoleSink()
line = {"type": "log", "level": "INFO", "message": "m" * 200}
stop = threading.Event()
def write():
    while not stop.is_set():
        sink(Envelope(dict(line), None, 0))
threads = [threading.Thread(target=write) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(30):
    child = os.fork()
    if child == 0:
        for _ in range(5): sink(Envelope(dict(line), None, 0))
        os._exit(0 if sink._lock.acquire(timeout=1) else 1)
    print(os.waitpid(child, 0)[1], flush=True)
stop.set()
for thread in threads: thread.join()
"""


def test_children_of_forks_do_not_hang(tmp_path: Path) -> None:
    """A child that is forked while other threads write can write itself."""
    with (tmp_path / "err").open("wb") as err:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _FORKS], stdout=subprocess.PIPE, stderr=err, timeout=100, text=True
        )

    assert done.stdout.split() == ["0"] * 30


def test_a_signal_handler_may_write_too() -> None:
    """A handler that runs while its thread writes gets its line out, after a moment."""
    lines: list[str] = []

    class Interrupting(io.StringIO):
        def write(self, text: str) -> int:
            lines.append(text)
            if len(lines) == 1:
                signal.raise_signal(signal.SIGUSR1)
            return len(text)

    sink = ConsoleSink(Interrupting())
    handler = signal.signal(signal.SIGUSR1, lambda *_: sink(_envelope(message="from the handler")))
    try:
        sink(_envelope(message="interrupted"))
    finally:
        signal.signal(signal.SIGUSR1, handler)

    assert ["interrupted" in lines[0], "from the handler" in lines[1]] == [True, True]


@pytest.mark.parametrize("by", ["signal", "finalizer"])
def test_a_line_that_comes_in_between_of_a_write_is_recorded(by: str, recorded: MemorySink) -> None:
    """Of a signal handler or a finalizer that runs while the console writes another line, of a step or of a log line."""
    times: list[str] = []

    class Finalized:
        def __del__(self) -> None:
            agentlog.get_logger("x").error("in between")

    class Interrupting(io.StringIO):
        def write(self, text: str) -> int:
            if "in between" not in text:
                times.append(text)
                if by == "signal":
                    signal.raise_signal(signal.SIGUSR1)
                else:
                    Finalized()
            return len(text)

    sink = ConsoleSink(Interrupting(), lifecycle=True)
    use(Recorder([recorded, sink]))
    handler = signal.signal(signal.SIGUSR1, lambda *_: agentlog.get_logger("x").error("in between"))
    try:
        with agentlog.task("t"), agentlog.step("interrupted"):
            agentlog.get_logger("x").info("interrupted")
            logging.getLogger("y").error("not ours")
    finally:
        signal.signal(signal.SIGUSR1, handler)

    assert len(times) >= 3
    assert [line["message"] for line in recorded.lines].count("in between") == len(times)


def test_configured_for_real(tmp_path: Path) -> None:
    """A program on a real terminal: what `configure` shows by itself is the human style, in the same words as the folder."""
    shows, takes = os.openpty()
    program = (
        "import otel_agentlog as agentlog\n"
        "agentlog.configure(service_name='x')\n"
        "with agentlog.task('job', task_id='t-1'):\n"
        "    agentlog.get_logger('app', 'web').warning('hello', password='hunter2hunter2')\n"
    )
    environment = {
        "TASK_LOGS_DIR": str(tmp_path),
        "AGENTLOG_LOG_DIR": str(tmp_path / "log"),
        "TERM": "xterm",
        "HOME": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=takes, stdout=takes, stderr=takes, env={**os.environ, **environment}
    )
    os.close(takes)
    os.set_blocking(shows, False)
    shown = bytearray()

    def is_whole() -> bool:
        shown.extend(_read(shows))
        return b"password=" in shown and shown.endswith(b"\n")

    # A terminal hands a text over in pieces.
    wait_until(is_whole, "the line on the terminal", timeout_s=30)
    process.wait(30)
    with suppress(OSError):  # EIO: nobody writes any more
        while more := _read(shows):
            shown += more
    os.close(shows)

    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3} WARN  web +hello  password=", text)
    assert "hunter2hunter2" not in text
    assert '"message":"hello"' in (tmp_path / "t-1" / "03-agent-output.jsonl").read_text()
    assert agentlog.current_task() is None


# -- a stream that leads back into logging ------------------------------------------------------------------------------------


class _LoggingStream:
    """What daemons and Celery put in the place of ``sys.stderr``."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log

    def write(self, text: str) -> int:
        for line in filter(None, text.splitlines()):
            self._log(line)
        return len(text)

    def flush(self) -> None:
        """Nothing is held."""


@contextmanager
def _recording(*sinks: Any) -> Iterator[None]:
    before = use(Recorder(list(sinks)))
    try:
        yield
    finally:
        use(before)


@pytest.mark.parametrize("by", ["stdlib", "ours"])
def test_a_stderr_that_logs_does_not_log_what_we_show(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is one line, at once, whatever logger the stream gives it to; what others print there is recorded."""
    logger = logging.getLogger("redirected") if by == "stdlib" else agentlog.get_logger("redirected")
    monkeypatch.setattr(sys, "stderr", _LoggingStream(logger.warning))
    memory = MemorySink()
    install_stdlib()
    try:
        with _recording(memory, ConsoleSink(style="json")):
            started = time.monotonic()
            for number in range(50):
                agentlog.get_logger("app").error("hello", number=number)
            print("printed", file=sys.stderr)
            assert time.monotonic() - started < 50 * STALL_S / 2
    finally:
        uninstall_stdlib()

    assert [line["message"] for line in memory.lines] == ["hello"] * 50 + ["printed"]


def test_a_stderr_that_another_thread_logs_does_not_go_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that reads stderr's pipe and logs its lines records what others print, not ours again and again."""
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w", buffering=1)
    seen: list[str] = []

    def read() -> None:
        with os.fdopen(reading) as lines:
            for line in lines:
                logging.getLogger("redirected").error(line.rstrip("\n"))
                seen.append(line)

    thread = threading.Thread(target=read)
    thread.start()
    memory = MemorySink()
    install_stdlib()
    try:
        with _recording(memory, ConsoleSink(stream, style="json")):
            agentlog.get_logger("app").error("hello")
            stream.write("printed\n")
            wait_until(lambda: len(seen) >= 3, "what was printed")
            stream.close()
            thread.join(30)
    finally:
        uninstall_stdlib()

    assert [line["message"] for line in memory.lines] == ["hello", "printed"]
