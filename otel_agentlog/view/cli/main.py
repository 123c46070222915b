"""The program ``agentlog``: its table of commands, their parsing, errors as one line, exit codes.

Only the module of the command that runs is imported, so that a command that reads starts fast.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn, Protocol, cast

from otel_agentlog._startup import open_closed_streams
from otel_agentlog.errors import AgentlogError, ConfigurationError, FilterError
from otel_agentlog.settings.version import __version__
from otel_agentlog.view.cli.context import CliContext, common_arguments
from otel_agentlog.vocabulary.terminal_text import given_path, given_text, safe

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells count."""
BROKEN_PIPE = 141
"""128 + SIGPIPE, as shells count."""


class CommandModule(Protocol):
    """A module of `queries` or `actions`."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the command."""

    def run(self, options: argparse.Namespace, context: CliContext) -> int:
        """Run the command; returns the exit code."""


class Command(NamedTuple):
    """One command."""

    module: str
    """A `CommandModule`, by its name in `otel_agentlog.view.cli`."""
    summary: str


COMMANDS = {
    "ls": Command("queries.ls", "list tasks, newest first"),
    "search": Command("queries.search", "find words in tasks, and the lines that say them"),
    "stats": Command("queries.stats", "count tasks: how they ended, how long they took, what they spent"),
    "cost": Command("queries.cost", "sum up what AI calls cost, by model or otherwise"),
    "recost": Command("queries.recost", "tell what AI calls would cost by today's prices"),
    "top": Command("queries.top", "name the agents, tools and models that do, spend or fail most"),
    "metrics": Command("queries.metrics", "report a period, or how it stands now; also as Prometheus text"),
    "show": Command("queries.show", "show one task: what happened, for how long, at what cost"),
    "tail": Command("queries.tail", "print a task's lines as people read them, or follow them live"),
    "errors": Command("queries.errors", "find errors, by id or by kind, and how they were handled"),
    "alerts": Command("queries.alerts", "tell what is too much: errors, durations, cost …; also as it happens"),
    "compare": Command("queries.compared.compare", "compare two groups of tasks; as a check of a change, too"),
    "diff": Command("queries.compared.diff", "tell what differs between two tasks"),
    "export": Command("queries.export", "hand tasks on: OTLP JSON lines, CSV, JSON lines or one HTML page"),
    "import": Command("actions.imports", "make task folders of runs that others wrote: sessions of coding agents, traces, chats"),
    "collect": Command("actions.collect", "receive what programs of any language send by OTLP, and file it"),
    "dataset": Command("queries.dataset", "make a data set of tasks or AI calls, for training and evaluation"),
    "run": Command("actions.run", "run any command in a task; Python programs in it record by themselves"),
    "replay": Command("actions.replay", "run a program again with the answers that a task has on record"),
    "validate": Command("queries.validate", "check task folders against the format"),
    "ship": Command("actions.ship", "send to the collector what it has not got"),
    "pause": Command("actions.control", "pause a running task at its next checkpoint"),
    "resume": Command("actions.control", "let a paused task go on"),
    "cancel": Command("actions.control", "end a running task at its next checkpoint"),
    "context": Command("actions.control", "tell the agent of a running task more"),
    "note": Command("actions.note", "add a note to a task, or scores of it"),
    "recover": Command("actions.recover", "close what processes left open that died"),
    "prune": Command("actions.prune", "delete old tasks and compress finished ones, as the limits say"),
    "serve": Command("actions.serve", "show it all on a web page and over REST"),
    "mcp": Command("actions.mcp", "let agents ask it all by the Model Context Protocol"),
    "monitor": Command("actions.monitor", "watch tasks as they happen, and tell a running agent what to do"),
    "doctor": Command("actions.doctor", "see whether everything is in place, and send a test trace"),
    "completion": Command("actions.completion", "print what a shell needs to complete commands and tasks"),
}
EXAMPLES = {
    "ls": ("ls 'status:failed since:2h'", "ls --order costliest --limit 5"),
    "search": ("search connection reset", "search 'timeout agent:plan* since:1d'"),
    "stats": ("stats --since 1h", "stats --group-by agent 'tag:nightly'"),
    "cost": ("cost --since 7d", "cost --group-by user 'model:claude*'"),
    "recost": ("recost --since 7d", "recost last"),
    "top": ("top agent --by cost", "top tool 'since:1d' --by failures"),
    "metrics": ("metrics --current", "metrics --report --since 30d"),
    "show": ("show", "show 7f3a --full"),
    "tail": ("tail -f last", "tail 7f3a -n all"),
    "errors": ("errors --since 1d", "errors k3f09x2b"),
    "alerts": ("alerts", "alerts --since 6h"),
    "compare": ("compare tag:before tag:after", "compare --by model opus sonnet --fail-if 'cost>+10%'"),
    "diff": ("diff 7f3a", "diff 7f3a 51c2 --all"),
    "export": ("export last -o task.html", "export --where 'status:failed since:1d' -o failed.csv"),
    "import": ("import ~/.claude/projects ~/.codex/sessions", "import --watch ~/.claude/projects"),
    "collect": ("collect", "collect --forward http://collector:4318"),
    "dataset": ("dataset 'agent:plan* score.quality>0.8' -o data", "dataset --of tasks --shape cases --test 0.1 -o cases"),
    "run": ("run -- python agent.py", "run --name nightly --agent planner -- make report"),
    "replay": ("replay last -- python agent.py", "replay 7f3a --from plan -- python agent.py"),
    "validate": ("validate", "validate last"),
    "ship": ("ship --dry-run", "ship last"),
    "note": ("note last 'the wrong branch again'", "note 7f3a --score quality=0.8 --by ann"),
    "pause": ("pause last", "pause 7f3a --wait"),
    "resume": ("resume last", "resume 7f3a --wait"),
    "cancel": ("cancel last --reason 'wrong branch'", "cancel 7f3a --terminate-tools"),
    "context": ("context last 'Leave the tests as they are'", "context 7f3a - --wait"),
    "recover": ("recover --dry-run", "recover"),
    "prune": ("prune --dry-run", "prune --keep-days 30"),
    "serve": ("serve --open", "serve --port 0"),
    "mcp": ("mcp", "mcp --http --allow-writes"),
    "monitor": ("monitor", "monitor 7f3a"),
    "doctor": ("doctor", "doctor --json"),
    "completion": ("completion bash", "completion zsh"),
}
"""Two command lines of each, without ``agentlog``: the help begins with them."""
_OVER_ALL = frozenset(
    {"ls", "search", "stats", "cost", "recost", "top", "metrics", "errors", "alerts", "compare", "export", "dataset", "monitor"}
)
"""Commands that show many tasks; the others report on each task that they are about."""
_LEFT_OUT = re.compile(r"-(?:[A-Za-z_]+(?:[:=<>]|!=)|\()")
"""Begins a condition that must not hold."""
DEMO = "demo"
DEMO_SUMMARY = "run a small real agent over a folder and show what is recorded"


class _Parser(argparse.ArgumentParser):
    """Ends with one line of error and `USAGE_ERROR`; its help begins with examples."""

    examples: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: {safe(message)}; see {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        known = list(action.choices or ())
        if known and value not in known:
            raise argparse.ArgumentError(
                action, f"expected one of {', '.join(map(str, known))}, found {value!r}{_suggestion(str(value), known)}"
            )

    def format_help(self) -> str:
        if not self.examples:
            return super().format_help()
        shown = "".join(f"  agentlog {line}\n" for line in self.examples)
        return f"{self.description}\n\nexamples:\n{shown}\n{_without_description(self)}"


def _without_description(parser: argparse.ArgumentParser) -> str:
    """The rest of the help: a usage of one line, as the options follow, and these."""
    given = [each for each in parser._actions if not each.option_strings]
    formatter = parser._get_formatter()
    names = " ".join(f"[{each.metavar} ...]" if each.nargs == "*" else _in_usage(each) for each in given)
    formatter.add_text(" ".join(filter(None, ("usage:", parser.prog, names, "[option ...]"))))
    for group in parser._action_groups:
        formatter.start_section(group.title)
        formatter.add_text(group.description)
        formatter.add_arguments(group._group_actions)
        formatter.end_section()
    return formatter.format_help()


def _in_usage(action: argparse.Action) -> str:
    return f"[{action.metavar}]" if action.nargs == "?" else str(action.metavar)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: done. 1: failed, or errors were found. 2: the command line or a setting cannot be used. 130: interrupted.
    141: the other end of a pipe was closed. Single commands have others: `import` and `replay` 3, `compare` 3 and 4, `run` and
    `replay` those of their command.
    """
    open_closed_streams()
    words = [given_text(word) for word in (sys.argv[1:] if argv is None else argv)]
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes at exit and would raise again: let it flush into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        # Broad, because people get one line also for a defect of ours; --debug shows the rest.
        if "--debug" in words:
            raise
        return _report(error, _command_in(words))
    return code


def _report(error: Exception, name: str | None) -> int:
    expected = isinstance(error, (AgentlogError, OSError))
    text = str(error) if expected else f"unexpected {type(error).__name__}: {error} (--debug shows where)"
    print(f"{' '.join(filter(None, ('agentlog', name)))}: {safe(text)}", file=sys.stderr)
    return USAGE_ERROR if isinstance(error, (ConfigurationError, FilterError)) else FAILED


def _run(words: list[str]) -> int:
    if words[:1] == [DEMO]:
        return _demo(words[1:])
    parser = make_parser(words)
    if _command_in(words) == DEMO:
        parser.error("the demo's options stand behind the word demo")
    options = _parse(parser, words)
    if options.command is None:
        parser.print_help()
        return USAGE_ERROR
    context = CliContext(options.root, not options.no_color)
    if options.source is not None:
        importlib.import_module("otel_agentlog.view.cli.source").fetch(options, context)
    code = _module(COMMANDS[options.command]).run(options, context)
    if options.command in _OVER_ALL and not (getattr(options, "tasks", None) or getattr(options, "task", None)):
        importlib.import_module("otel_agentlog.view.cli.damage").tell_damage(context.root)
    return code


def _command_in(words: Sequence[str]) -> str | None:
    """The first word that is no option, whether there is such a command or not."""
    return next((word for before, word in pairwise(["", *words]) if word[:1] != "-" and before not in ("--root", "--from")), None)


def _parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Return the options; the error about a command or option that does not exist suggests a similar one."""
    name = _command_in(words)
    names = (*COMMANDS, DEMO)
    if name is not None and name not in names:
        parser.error(f"there is no command {name!r}{_suggestion(name, names)}; commands: {', '.join(names)}")
    options, unknown = parser.parse_known_args(words)
    if hasattr(options, "filter"):
        # argparse takes the words of one argument from one place alone.
        options.filter += [word for word in unknown if _is_of_filter(word)]
        unknown = [word for word in unknown if not _is_of_filter(word)]
    if unknown:
        known = [flag for action in _actions(parser, name) for flag in action.option_strings]
        wrong = unknown[0].partition("=")[0]
        said = safe(f"{name or 'it'} does not take {unknown[0]!r}{_suggestion(wrong, known)}")
        parser.exit(USAGE_ERROR, f"{parser.prog}: {said}; see {_parser_of(parser, name).prog} --help\n")
    return options


def _is_of_filter(word: str) -> bool:
    """Whether a word that is no argument is a part of a filter: ``cost>1``, ``-tag:nightly``."""
    return not word.startswith("-") or _LEFT_OUT.match(word) is not None


_MEANT = {"--kind": "--category", "--type": "--category", "--group": "--group-by", "--sort": "--order", "--last": "--limit"}
"""Options of other programs, with ours."""


def _suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a message about a word that is not known: the one that was meant, by habit, by its parts or by its letters."""
    names = list(map(str, known))
    parts = [name for name in names if len(word) > 3 and word.lstrip("-") in name.lstrip("-").split("-")]
    by_habit = [_MEANT[word]] if _MEANT.get(word) in names else []
    found = by_habit or parts or difflib.get_close_matches(word.lower(), names, n=1, cutoff=_NEAR)
    return f", did you mean {found[0]!r}?" if found else ""


_NEAR = 0.65
"""How like a word another must be to have been meant."""


def _parser_of(parser: argparse.ArgumentParser, name: str | None) -> argparse.ArgumentParser:
    """The parser of a command; the whole one where there is none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and name is not None:
            found: argparse.ArgumentParser = action.choices[name]
            return found
    return parser


def _actions(parser: argparse.ArgumentParser, name: str | None) -> Iterator[argparse.Action]:
    """The options and arguments of a command, and those of all."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices[name]._actions if name is not None else ()
        else:
            yield action


def _demo(words: list[str]) -> int:
    code: int = importlib.import_module("otel_agentlog.demo.__main__").main([given_path(word) for word in words])
    return code


def make_parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser; with `words` only the commands among them have their options, without it all have."""
    parser = _Parser(prog="agentlog", description="Look at what agents did, from the folders they left.", allow_abbrev=False)
    parser.examples = ("ls 'status:failed since:2h'", "show last")
    common_arguments(parser)
    parser.add_argument("--version", action="version", version=f"agentlog {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_Parser)
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.summary, description=_sentence(command.summary), allow_abbrev=False)
        one.examples = EXAMPLES[name]
        if words is None or name in words:
            _add_arguments(one, command)
    commands.add_parser(DEMO, help=DEMO_SUMMARY, add_help=False)
    return parser


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _module(command: Command) -> CommandModule:
    return cast("CommandModule", importlib.import_module(f"otel_agentlog.view.cli.{command.module}"))


def _add_arguments(parser: argparse.ArgumentParser, command: Command) -> None:
    _module(command).arguments(parser)
    common_arguments(parser, below=True)


if __name__ == "__main__":
    sys.exit(main())
