"""``agentlog replay``: a program once more, with the answers that a task has on record, and how its run differs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.trace import SpanContext, TraceFlags

from otel_agentlog.errors import AgentlogError, ConfigurationError
from otel_agentlog.query import resolve
from otel_agentlog.settings.fields import inherited
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.tools.notes import add_note
from otel_agentlog.tools.replay.comparing import Departure, RunComparison, began_in, compare, counterpart, is_of_replay
from otel_agentlog.tools.replay.forwarding import check_keys, upstreams
from otel_agentlog.tools.replay.matching import Difference, Matching
from otel_agentlog.tools.replay.recorded import Record, read_record
from otel_agentlog.tools.replay.server import ReplayServer
from otel_agentlog.tools.replay.variables import of_program
from otel_agentlog.view.cli.context import CliContext, common_arguments, print_json
from otel_agentlog.view.render import formats
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.terminal_text import safe

DIFFERS = 1
"""Exit code: the program ended well, and its run differs from the record."""

CANNOT = 3
"""Exit code: something that is needed is not on record; the program was not started."""

LAST = "last"
MAX_LINES, MAX_COLUMNS = 40, 200
"""Of a diff that is shown."""
MAX_LISTED = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    _own_options(parser)
    parser.add_argument("task", metavar="TASK", help="a task's id, the beginning of one, its folder, or last")
    parser.add_argument(
        "argv", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the program that made it, with its arguments"
    )


def _own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tools", action="store_true", help="answer decorated tools from the record, too, instead of running them"
    )
    parser.add_argument(
        "--from", dest="step", metavar="STEP", help="go on live from this step, or from the AI call of this number"
    )
    parser.add_argument("--instrument", action="store_true", help="switch on instrumentors, as agentlog run does")
    parser.add_argument("--partial", action="store_true", help="begin although something cannot be given again")
    parser.add_argument("--network", action="store_true", help="let the program reach other machines")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="REGEX", help="what differs from run to run; may be repeated"
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print what cannot be given again, run the program, print what differs; returns the program's code, else 1 if it differs."""
    argv = _command(options)
    ignore = [_pattern(each) for each in options.ignore]
    task = _latest(context.root) if options.task == LAST else resolve(context.root, options.task)
    record = read_record(task)
    given = inherited()
    upstream = None
    if options.step is not None:
        record.go_live_at(options.step)
        upstream = upstreams(given)
        check_keys({call.provider for call in record.calls[len(record.answered) :]}, upstream)
    missing = record.missing(tools=options.tools)
    _print(_before(record, missing))
    if missing and not options.partial:
        _print(["agentlog replay: not begun; --partial begins all the same, and these requests fail"])
        if options.json:
            print_json({"task_id": task.task_id, "missing": missing, "notes": record.notes()})
        return CANNOT
    with ReplayServer(record, tools=options.tools, upstream=upstream) as server:
        variables = of_program(server.url, given, offline=not options.network)
        variables |= {"AGENTLOG_INSTRUMENT": "all"} if options.instrument else {}
        replayed, code = _run(record, argv, context, variables)
        began = [] if _was_run(task) else began_in(replayed)
        found = _Found(task, replayed, server.matching, _compared(task, replayed, began, ignore), code)
    _note(task, replayed, began)
    if options.json:
        print_json(found.as_json(record))
    else:
        _print(found.lines(record))
    return code or (0 if found.same else DIFFERS)


def _command(options: argparse.Namespace) -> list[str]:
    words = list(options.argv)
    at = words.index("--") if "--" in words else 0
    if at:
        # argparse takes all that stands behind TASK for the command.
        parser = argparse.ArgumentParser(prog="agentlog replay", add_help=False, allow_abbrev=False)
        _own_options(parser)
        common_arguments(parser, below=True)
        parser.set_defaults(**{name: value for name, value in vars(options).items() if name != "argv"})
        parser.parse_args(words[:at], options)
    command = words[at + 1 :] if "--" in words else words
    if not command:
        raise ConfigurationError("COMMAND", "nothing", "a command behind '--', such as agentlog replay last -- python agent.py")
    return command


def _pattern(given: str) -> re.Pattern[str]:
    try:
        return re.compile(given)
    except re.error as error:
        raise ConfigurationError("--ignore", given[:200], f"a regular expression ({error})") from None


def _run(record: Record, argv: Sequence[str], context: CliContext, variables: dict[str, str]) -> tuple[TaskReader, int]:
    """Run the program in a task of its own, which is linked to the one on record."""
    from otel_agentlog.wiring.zero_code.command import run_again

    about, of = record.task.metadata() or {}, record.task.task_id
    name = f"replay of {text(about, 'name') or of}"
    by_itself = not _was_run(record.task)
    code, folder = run_again(argv, context.root, variables, of=of, name=name, link=_link(about), by_itself=by_itself)
    return TaskReader(folder), code


def _was_run(task: TaskReader) -> bool:
    """Whether the program recorded into a task of ``agentlog run``, not into tasks that it begins itself."""
    return (task.metadata() or {}).get("source") in ("run", "replay")


def _link(about: dict[str, Any]) -> SpanContext | None:
    """The span of the task on record."""
    parts = (text(about, "traceparent") or "").split("-")
    try:
        link = SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=TraceFlags(1))
    except (IndexError, ValueError):
        return None
    return link if link.is_valid else None


def _compared(
    task: TaskReader, replayed: TaskReader, began: Sequence[TaskReader], ignore: Sequence[re.Pattern[str]]
) -> RunComparison | None:
    """The comparison with what the program recorded; ``None`` where that is nothing to compare with."""
    other = replayed if _was_run(task) else counterpart(task, began)
    return None if other is None else compare(task, other, ignore)


def _note(task: TaskReader, replayed: TaskReader, began: Sequence[TaskReader]) -> None:
    """Note in each task that the program began which task it replays."""
    for each in began:
        try:
            add_note(each.folder, f"replay of {task.task_id}, in {replayed.task_id}", source="cli")
        except (AgentlogError, OSError) as error:
            _print([f"agentlog replay: {safe(each.task_id)}: no note of what it replays: {safe(str(error))}"])


def _latest(root: Path) -> TaskReader:
    """The newest task that is neither a sub-task nor of a replay."""
    for task in list_tasks(root, newest_first=True):
        about = task.metadata() or {}
        if about.get("source") != "replay" and text(about, "parent_task_id") is None and not is_of_replay(task):
            return task
    return resolve(root, LAST)


class _Found:
    """How the run went, beside the record."""

    def __init__(
        self, task: TaskReader, replayed: TaskReader, matching: Matching, comparison: RunComparison | None, code: int
    ) -> None:
        self._task, self._replayed, self._comparison, self._code = task, replayed, comparison, code
        self._figures = matching.figures
        self._requests = matching.differences()

    @property
    def same(self) -> bool:
        """Whether the run is the one on record. Where it recorded something, that decides; else the requests do."""
        if self._figures.refused:
            return False
        return not self._requests if self._comparison is None else self._comparison.same

    def as_json(self, record: Record) -> dict[str, Any]:
        """For programs."""
        found = self._comparison
        return {
            "task_id": self._task.task_id,
            "replay_task_id": self._replayed.task_id,
            "compared_task_id": None if found is None else found.task.task_id,
            "same": self.same,
            "exit_code": self._code,
            "ai_calls": len(record.calls),
            "answered": self._figures.answered,
            "live": self._figures.live,
            "refused": self._figures.refused,
            "tools_answered": self._figures.tools,
            "compared": found is not None,
            "varied": 0 if found is None else found.varied,
            "differences": [_departure_json(each) for each in found.differences] if found is not None else [],
            "requests": [_request_json(each) for each in self._requests],
            "notes": record.notes(),
        }

    def lines(self, record: Record) -> Iterator[str]:
        """For people, on stderr: stdout is the program's."""
        figures, of = self._figures, len(record.calls)
        words = [f"{figures.answered} of {formats.count(of, 'AI call')} answered from the record"]
        words += [f"{figures.live} live"] if figures.live else []
        words += [f"{formats.count(figures.tools, 'tool run')} answered"] if figures.tools else []
        words += [f"{formats.count(figures.refused, 'request')} without an answer"] if figures.refused else []
        found = self._comparison
        yield f"replayed  {safe((found.task if found is not None else self._replayed).task_id)}: {', '.join(words)}"
        if self.same and found is not None:
            varied = f" ({formats.count(found.varied, 'text')} differ in times, ids or places alone)" if found.varied else ""
            yield f"Same tree, same outputs: {formats.count(found.parts, 'part')} compared{varied}."
        elif self.same:
            yield "Same requests, in number and content; the program recorded no task to compare."
        elif found is None or found.same:
            yield from _lines_of_requests(self._requests, record)
            if found is None:
                yield "The program recorded no task to compare."
        else:
            yield from _lines_of_departures(found.differences, of)
            yield f"All of them: --json, or agentlog diff {safe(self._task.task_id)} {safe(found.task.task_id)}"


def _before(record: Record, missing: Sequence[str]) -> Iterator[str]:
    name = text(record.task.metadata() or {}, "name") or ""
    counts = f"{formats.count(len(record.calls), 'AI call')}, {formats.count(len(record.runs), 'tool run')}"
    live = "" if record.live_from is None else f"; live from AI call {record.live_from} on"
    yield f"recorded  {safe(record.task.task_id)}  {safe(name)}: {counts}{live}"
    yield from (f"note      {safe(each)}" for each in record.notes()[:MAX_LISTED])
    yield from (f"damaged   {safe(each)}" for each in record.problems[:MAX_LISTED])
    yield from (f"missing   {safe(each)}" for each in missing[:MAX_LISTED])
    if len(missing) > MAX_LISTED:
        yield f"missing   … {len(missing) - MAX_LISTED} more"


def _lines_of_departures(differences: Sequence[Departure], calls: int) -> Iterator[str]:
    first, *others = differences
    yield f"First difference: {_title(first, calls)}"
    yield from _shown(first.lines)
    if others:
        counted = formats.count(len(others), "more difference")
        yield f"{counted}: {'; '.join(_title(each, calls) for each in others[:3])}{' …' if len(others) > 3 else ''}"


def _title(each: Departure, calls: int) -> str:
    *above, own = map(safe, each.where)
    number = "" if each.call is None else f" {each.call}" + ("" if each.what == "more" else f" of {calls}")
    own = own.replace("AI call", f"AI call{number}", 1) if own.startswith("AI call") else own
    said = {"missing": "is missing", "more": "is not on record"}.get(each.what, f"other {safe(each.what)}")
    return f"{own}: {said}" + (f" (in {' › '.join(above)})" if above else "")


def _lines_of_requests(requests: Sequence[Difference], record: Record) -> Iterator[str]:
    if not requests:
        return
    first, *others = requests
    yield f"First difference: {_request_title(first, record)}"
    yield from _shown(first.lines)
    if others:
        yield f"{formats.count(len(others), 'more difference')}: " + "; ".join(
            _request_title(each, record) for each in others[:3]
        )


_SAID = {"prompt": "other prompt", "model": "other model", "tools": "other tools", "fewer": "was not made"}


def _request_title(each: Difference, record: Record) -> str:
    if each.call is None:
        return "an AI call that is not on record"
    return f"AI call {each.call.number} of {len(record.calls)} ({safe(each.call.model)}): {_SAID[each.kind]}"


def _shown(lines: Sequence[str]) -> Iterator[str]:
    for line in lines[:MAX_LINES]:
        yield "  " + safe(line if len(line) <= MAX_COLUMNS else f"{line[:MAX_COLUMNS]}…")
    if len(lines) > MAX_LINES:
        yield f"  … {len(lines) - MAX_LINES} more lines"


def _departure_json(each: Departure) -> dict[str, Any]:
    return {"what": each.what, "where": list(each.where), "call": each.call, "diff": each.lines}


def _request_json(each: Difference) -> dict[str, Any]:
    return {"what": each.kind, "call": each.call.number if each.call is not None else None, "diff": each.lines}


def _print(lines: Sequence[str] | Iterator[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)
    sys.stderr.flush()
