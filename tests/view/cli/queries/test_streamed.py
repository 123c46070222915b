"""A text that was recorded in chunks is one text wherever it is read: tail, show, search, monitor, index."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_agentlog.query import Filter, LiveReport, matches, report, search
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.monitor.drawing import log_lines
from otel_agentlog.view.render.screen import PLAIN_GLYPHS
from tests.support.waiting import wait_until
from tests.view.cli.terminal import Terminal, agentlog, as_wide_as, plain

WORDS = "the retry budget of this request was spent long before the answer came"

AGENT = """
    import contextvars, sys
    import otel_agentlog as agentlog
    agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-logs", console="off")
    calls = {}
    with agentlog.task("Streams", task_id="streams") as task:
        print("ready", flush=True)
        for command in sys.stdin:
            name, _, text = command.rstrip("\\n").partition(" ")
            if name == "end":
                place, call = calls.pop(text)
                place.run(call.__exit__, None, None, None)
            elif name == "log":
                agentlog.get_logger("l").info(text)
            else:
                if name not in calls:
                    calls[name] = contextvars.copy_context(), agentlog.ai_call(f"model-{name}")
                    calls[name][0].run(calls[name][1].__enter__)
                calls[name][0].run(task.output, text + " ", stream=True)
            print("done", flush=True)
"""


class Agent:
    """A process whose calls say what they are told to say, in chunks."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-c", textwrap.dedent(AGENT), str(root)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._out, self._in = self._process.stdout, self._process.stdin
        assert self._out.readline() == "ready\n"

    def say(self, *commands: str) -> None:
        """Do this, and come back when it is on disk."""
        for command in commands:
            self._in.write(command + "\n")
            assert self._out.readline() == "done\n"

    def finish(self) -> None:
        self._process.communicate(timeout=30)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=30)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """At work below ``tmp_path / "tasks"``."""
    started = Agent(tmp_path / "tasks")
    yield started
    started.kill()


def test_a_text_is_one_line_wherever_it_is_read(tmp_path: Path, agent: Agent) -> None:
    """Two calls speak in turns, with a log line in between: two texts, each in one piece."""
    root = tmp_path / "tasks"
    for number, word in enumerate(WORDS.split()):
        agent.say(f"a {word}", f"b {word.upper()}", *(["log between"] if number == 3 else []))
    agent.say("end a", "end b")
    agent.finish()

    tail = agentlog("tail", "streams", "-n", "all", "--root", root).lines
    assert [line for line in tail if WORDS in line or WORDS.upper() in line] == [line for line in tail if "  output " in line]
    assert len([line for line in tail if "  output " in line]) == 2
    assert agentlog("tail", "streams", "-n", "5", "--root", root).lines == tail[-5:]
    shown = agentlog("show", "streams", "--full", "--root", root).out
    assert f"output: {WORDS}\n" in shown
    assert f"output: {WORDS.upper()}\n" in shown
    assert "2 outputs" in shown
    found = agentlog("search", "answer", "retry", "came", "--root", root).lines
    assert [WORDS.lower() in line.lower() for line in found] == [False, True, True]
    assert [match.text.strip().lower() for match in matches(root / "streams", "answer", limit=5)] == [WORDS.lower()] * 2
    assert report(TaskReader(root / "streams")).said["output"] == 2


def test_a_split_word_is_found(tmp_path: Path) -> None:
    """The index has the words of the text, not those of its chunks."""
    import otel_agentlog as sdk

    root = tmp_path / "tasks"
    sdk.configure(directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    with sdk.task("t", task_id="t") as task:
        long = "x" * 40_000  # longer than what is held back of one word
        task.output(long, stream=True)
        for piece in ("需", "要", " super", "cali", "fragi ", "end"):
            task.output(piece, stream=True)
    sdk.shutdown()
    for word in ("supercalifragi", "end", "需要"):
        assert [row.task_id for row in search(root, Filter(text=word)).rows] == ["t"], word


def test_a_text_is_written_on_as_it_comes(tmp_path: Path, agent: Agent) -> None:
    """``tail -f``: on one paragraph, wrapped between words at the terminal's edge; a log line interrupts it once."""
    root = tmp_path / "tasks"
    terminal = Terminal("tail", "-f", "streams", "--root", root, columns=60)
    wait_until(lambda: "Streams started" in plain(terminal.shown), "the beginning")
    for word in WORDS.split()[:7]:
        agent.say(f"a {word}")
        wait_until(lambda word=word: plain(terminal.shown).rstrip().endswith(word), f"{word!r} at the end of what is shown")  # type: ignore[misc]
    assert plain(terminal.shown).count("  output ") == 1
    agent.say("log stop")
    wait_until(lambda: "stop" in plain(terminal.shown), "the log line")
    for word in WORDS.split()[7:]:
        agent.say(f"a {word}")
    agent.say("end a")
    agent.finish()
    ran = terminal.end()

    lines = plain(ran.out).splitlines()
    assert max(map(len, lines)) <= 60
    assert plain(ran.out).count("  output ") == 2
    said = [line[27:] for line in lines if "  output " in line or line.startswith(" " * 27)]
    assert " ".join(" ".join(said).replace("… ", "").split()) == WORDS
    assert "completed" in lines[-1]


def test_two_texts_at_once_are_not_mixed_word_by_word(tmp_path: Path, agent: Agent) -> None:
    """What one says waits until the other has ended; both are shown whole."""
    root = tmp_path / "tasks"
    terminal = Terminal("tail", "-f", "streams", "--root", root, columns=160)
    wait_until(lambda: "Streams started" in plain(terminal.shown), "the beginning")
    for word in WORDS.split():
        agent.say(f"a {word}", f"b {word.upper()}")
    agent.say("end a", "end b")
    agent.finish()
    out = plain(terminal.end().out)

    # Two changes a second at most: what waits for two seconds, by the times of its chunks, has its turn.
    assert out.count("  output ") <= 2 + 2 * len(re.findall("…", out))
    assert " ".join(out.split()).count(WORDS) + out.count("…") >= 1
    joined = "".join(re.findall(r"  output +agent +(?:… )?(.*)\n", out))
    assert sorted(joined.split()) == sorted(WORDS.split() + WORDS.upper().split())


def test_what_a_killed_process_said_is_one_text(tmp_path: Path, agent: Agent) -> None:
    """As far as it came, in the folder as it was left and after recovery."""
    root = tmp_path / "tasks"
    agent.say(*(f"a {word}" for word in WORDS.split()))
    terminal = Terminal("tail", "-f", "streams", "--root", root, columns=160)
    wait_until(lambda: "before the" in plain(terminal.shown), "what was said")
    agent.kill()
    followed = plain(terminal.end().out)
    assert re.search(r"  output +agent +the retry budget of this request was spent long before the answer", followed)
    for _ in range(2):
        (line,) = [line for line in agentlog("tail", "streams", "--root", root).lines if "  output " in line]
        assert "the retry budget of this request was spent long before the answer" in line
        agentlog("recover", "--root", root)


def test_a_text_of_the_monitor_grows(tmp_path: Path, agent: Agent) -> None:
    """One line of a report that is followed, however many chunks come."""
    root = tmp_path / "tasks"
    agent.say("a the retry")
    live = LiveReport(TaskReader(root / "streams"), keep=100)
    came = live.came
    agent.say("a budget", "a of")
    live.poll()
    assert live.came == came
    (line,) = [each for each in live.lines if each["type"] == "output"]
    assert line["content"].split() == ["the", "retry", "budget", "of"][: len(line["content"].split())]
    shown = ["".join(piece.text for piece in pieces) for pieces in log_lines(live.lines, 80, PLAIN_GLYPHS)]
    assert sum("output" in each for each in shown) == 1


@pytest.mark.parametrize("columns", [40, 50, 80, 120, 200])
def test_a_joined_text_fits(tmp_path: Path, agent: Agent, columns: int) -> None:
    """Cut at the edge, like any other line, unless ``--full`` is given."""
    root = tmp_path / "tasks"
    agent.say(*(f"a {word}" for word in (WORDS * 5).split()), "end a")
    agent.finish()
    lines = as_wide_as(columns, "tail", "streams", "--root", root).lines
    assert [line for line in lines if len(line) > columns] == []
    assert sum("output" in line for line in lines) == 1
