"""Runs code of a test against a task on record: AI calls are answered from its folder, what is recorded is compared with it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from otel_agentlog.errors import AgentlogError
from otel_agentlog.settings.fields import inherited
from otel_agentlog.settings.variables import in_environment
from otel_agentlog.store.folder.reader import TaskReader, is_task_folder
from otel_agentlog.testing.recorded import Recorded, record_in
from otel_agentlog.tools.replay.comparing import Departure, RunComparison, compare, counterpart
from otel_agentlog.tools.replay.inside import answer_decorated, refuse_connections
from otel_agentlog.tools.replay.matching import Matching
from otel_agentlog.tools.replay.recorded import Record, read_record
from otel_agentlog.tools.replay.server import ReplayServer
from otel_agentlog.tools.replay.variables import of_clients

MAX_SHOWN = 5
"""Differences that a message has."""


class Replay:
    """A replay as it goes on, and after its end."""

    def __init__(self, record: Record, recorded: Recorded, matching: Matching, ignore: Sequence[re.Pattern[str]]) -> None:
        self.recorded = recorded
        """What this run records, as of `record_in`."""
        self._record, self._matching, self._ignore = record, matching, ignore

    @property
    def notes(self) -> list[str]:
        """What cannot be as it was, in words: prompts that are not on record, secrets that were taken out …"""
        return self._record.notes()

    @property
    def answered(self) -> int:
        """AI calls that were answered until now."""
        return self._matching.figures.answered

    @property
    def comparison(self) -> RunComparison:
        """What was recorded until now, compared with the record.

        Raises:
            AssertionError: no task was recorded, or several of which none has the name of the one on record.
        """
        __tracebackhide__ = True
        found = [TaskReader(task.folder) for task in self.recorded.tasks if not task.metadata.get("parent_task_id")]
        task = counterpart(self._record.task, found)
        assert task is not None, f"expected a task as on record in {self._record.task.folder}, found {len(found)} of other names"
        return compare(self._record.task, task, self._ignore)

    @property
    def differences(self) -> list[Departure]:
        """What differs until now, in the order in which it happened."""
        return self.comparison.differences

    def assert_same(self) -> None:
        """Assert that the same happened as on record: the same calls with the same prompts, tools, outputs, the same end.

        Raises:
            AssertionError: something differs; the message has the first difference and says what else does.
        """
        __tracebackhide__ = True
        found = self.differences
        if found:
            raise AssertionError(_message(found, self._record.task))


def _message(found: list[Departure], task: TaskReader) -> str:
    first = found[0]
    head = f"the replay of {task.folder} parts from the record at: {_title(first)}"
    others = [f"  {_title(each)}" for each in found[1 : MAX_SHOWN + 1]]
    more = [f"{len(found) - 1} more:", *others, *(["  …"] if len(found) > MAX_SHOWN + 1 else [])] if others else []
    return "\n".join([head, *first.lines, *more])


def _title(each: Departure) -> str:
    what = each.what if each.what in ("missing", "more") else f"other {each.what}"
    number = "" if each.call is None else f" (AI call {each.call})"
    return f"{' › '.join(each.where)}{number}: {what}"


@contextmanager
def replay(
    folder: Path | str, *, into: Path | None = None, tools: bool = False, network: bool = False, ignore: Sequence[str] = ()
) -> Iterator[Replay]:
    """Answer AI calls from a task's folder in this block, and record what happens into a folder of its own.

    Clients of Anthropic and OpenAI that are made in the block ask a local server, whatever their keys; what is decorated with
    an `ai_call` of another provider, and with ``tools`` every decorated tool, is answered without being called. Connections to
    other machines are refused, unless ``network``. ``ignore`` has regular expressions of what differs from run to run. For one
    replay at a time.

    Raises:
        AgentlogError: there is no task in the folder, or something of it cannot be given again; the message says what.
    """
    if not is_task_folder(Path(folder)):
        raise AgentlogError(f"{folder}: expected the folder of a task, found none")
    record = read_record(TaskReader(Path(folder)))
    if missing := record.missing(tools=tools):
        raise AgentlogError("\n  ".join([f"{folder} cannot be replayed:", *missing]))
    with ExitStack() as stack:
        if into is None:
            into = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agentlog-replay-")))
        server = stack.enter_context(ReplayServer(record, tools=tools))
        stack.enter_context(in_environment(of_clients(server.url, inherited())))
        stack.callback(answer_decorated(server.answer_inside))
        if not network:
            stack.callback(refuse_connections())
        recorded = stack.enter_context(record_in(into))
        yield Replay(record, recorded, server.matching, [re.compile(each) for each in ignore])
