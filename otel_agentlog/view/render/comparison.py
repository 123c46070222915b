"""Two groups of tasks beside each other: texts of their figures for a terminal, Markdown for a pull request, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from otel_agentlog.query import Change, ComparedSide, FirstDifference, GroupComparison, Measured, ThresholdResult, Ways
from otel_agentlog.query.comparison.paths import part_name
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.csv_cell import csv_cell
from otel_agentlog.vocabulary.terminal_text import safe

_NAMES = {
    "duration_p50": "duration p50",
    "duration_p95": "duration p95",
    "ai_calls": "AI calls",
}
_SIGNS = {True: "✗", False: "✓", None: "?"}


# Figures ----------------------------------------------------------------------------------------------------------------------


def name(change: Change) -> str:
    """The name of a figure for people; safe text."""
    return _NAMES.get(change.name) or safe(change.name if "." in change.name else change.name.replace("_", " "))


def amount(unit: str, value: float | None) -> str:
    """``$0.023`` ``1.85s`` ``95.2%`` ``3.5`` ``12.4k``; `formats.UNKNOWN` for ``None``."""
    if value is None:
        return formats.UNKNOWN
    if value < 0:
        return f"-{amount(unit, -value)}"
    if unit == "usd":
        return formats.usd(value)
    if unit == "seconds":
        return formats.seconds(value)
    if unit == "share":
        return f"{value * 100:.0f}%" if value in (0, 1) else f"{value * 100:.1f}%"
    return formats.tokens(value) if value >= 1000 else f"{value:.3g}"


def difference(unit: str, value: float) -> str:
    """A difference with its sign; of shares in percentage points."""
    text = f"{abs(value) * 100:.1f} pp" if unit == "share" else amount(unit, abs(value))
    return text if value == 0 else f"{'+' if value > 0 else '-'}{text}"


def changed(change: Change) -> str:
    """``+$0.008 (+35 %)``; ``same``, or empty where it is not known."""
    if change.difference is None:
        return ""
    if change.difference == 0:
        return "same"
    share = "" if change.relative is None else f" ({change.relative * 100:+.0f} %)"
    return difference(change.unit, change.difference) + share


def interval(change: Change, to: str = "…") -> str:
    """The interval of the difference, or why there is none."""
    if change.difference_interval is None:
        return safe(change.note or "")
    low, high = (difference(change.unit, end) for end in change.difference_interval)
    return f"{low} {to} {high}"


def is_shown(change: Change) -> bool:
    """Whether there is anything to see: a figure that neither side has, or that is 0 in both, is left out."""
    return bool(change.a.value or change.b.value)


def is_worse(change: Change) -> bool | None:
    """Whether a difference beyond chance is for the worse; ``None`` where it is neither."""
    if not change.is_beyond_chance or change.difference is None:
        return None
    if change.name == "success" or change.name.startswith("score."):
        return change.difference < 0
    return None if change.name.endswith(".calls") or change.name in ("ai_calls", "tool_runs", "steps") else change.difference > 0


# Sentences --------------------------------------------------------------------------------------------------------------------


def left_out(side: ComparedSide) -> str:
    """Which tasks of a side are not compared; empty where all are."""
    parts = []
    if side.going_on:
        parts.append(f"{side.going_on:,} {'goes' if side.going_on == 1 else 'go'} on")
    if side.damaged:
        parts.append(formats.count(side.damaged, "damaged folder"))
    return f"left out: {', '.join(parts)}" if parts else ""


def parting(ways: Ways) -> list[str]:
    """Where two groups part, in a sentence; safe text, nothing where of one of them nothing was read."""
    if not (ways.read_a and ways.read_b):
        return []
    read = f"of {formats.count(ways.read_a, 'task')} of A and {ways.read_b:,} of B that were read"
    found = ways.parting
    if found is None:
        return [f"No step in which they part ({read})."]
    part = ways.way[found.at]
    # Outcomes have underscores in them, names are left as they are.
    what = safe(found.what) if found.before else labels.state_text(found.what)
    happens = f"{what} before it" if found.before else what
    sure = "" if found.beyond_chance else "; that may be chance"
    return [
        f"They part at {safe(part_name(part.kind, part.name))} (part {found.at + 1} of {len(ways.way)}):"
        f" {happens} in {found.share_a * 100:.0f} % of A, {found.share_b * 100:.0f} % of B{sure} ({read})."
    ]


def first(found: FirstDifference | None) -> list[str]:
    """Where two tasks differ first, and in what; safe text."""
    if found is None:
        return ["Both did the same."]
    entry = found.part.entry
    verdict = {"only_left": " is only in A", "only_right": " is only in B"}.get(found.part.verdict, "")
    within = f", in {' › '.join(map(safe, found.above))}" if found.above else ""
    kind = labels.KIND_NAMES.get(entry.kind, entry.kind)
    where = f"They differ first at {safe(kind)} {safe(entry.name)}{verdict}{within}"
    return [f"{where}:" if found.lines else f"{where}.", *(f"  {safe(line)}" for line in found.lines)]


def sentences(found: GroupComparison) -> list[str]:
    """Where two tasks differ first, or two groups part: a sentence, and lines that differ; nothing where no task was read."""
    if found.is_of_two_tasks:
        return first(found.first)
    return [] if found.ways is None else parting(found.ways)


def verdict(result: ThresholdResult, signs: dict[bool | None, str] | None = None) -> str:
    """A condition and what came of it; safe text."""
    return f"{(signs or _SIGNS)[result.holds]} {safe(str(result.threshold))}: {safe(result.why)}"


# Markdown ---------------------------------------------------------------------------------------------------------------------


def markdown(found: GroupComparison, *, everything: bool = False) -> Iterator[str]:
    """Lines of a report for a pull request. What is of folders stands in code spans, so that it makes no mention and no link."""
    yield f"### {_headline(found.results)}"
    yield ""
    for letter, side in (("A", found.a), ("B", found.b)):
        states = ", ".join(f"{count:,} {labels.state_text(status)}" for status, count in side.by_status.items())
        said = "; ".join(filter(None, (formats.count(side.tasks, "task"), states, left_out(side))))
        yield f"- **{letter}**: {code(side.side.said)} ({said})"
    yield ""
    if found.results:
        yield from (f"- {_SIGNS[each.holds]} {code(str(each.threshold))}: {code_in(each.why)}" for each in found.results)
        yield ""
    yield from _markdown_table(found, everything)
    sentence, *lines = sentences(found) or [""]
    if sentence:
        yield from ("", code_in(sentence))
    if lines:
        yield from ("", *_fenced(lines))
    if found.has_intervals:
        yield from ("", "<sub>In brackets: 95 % confidence intervals. **Bold**: beyond chance.</sub>")


def _headline(results: Sequence[ThresholdResult]) -> str:
    if not results:
        return "Agents compared"
    held, unknown = (sum(each.holds is which for each in results) for which in (True, None))
    if held:
        return f"✗ {held} of {formats.count(len(results), 'condition')} to fail on: met"
    return f"? {unknown} of {formats.count(len(results), 'condition')} could not be decided" if unknown else "✓ Agents compared"


def _markdown_table(found: GroupComparison, everything: bool) -> Iterator[str]:
    yield "| figure | A | B | change | 95 % interval |" if found.has_intervals else "| figure | A | B | change |"
    yield "|---|---:|---:|---:|:---:|" if found.has_intervals else "|---|---:|---:|---:|"
    for change in found.changes:
        if everything or is_shown(change):
            moved = changed(change)
            moved = f"**{moved}**" if change.is_beyond_chance else moved
            cells = [code(name(change)), _side(change, change.a), _side(change, change.b), moved]
            yield f"| {' | '.join([*cells, *([code_in(interval(change))] if found.has_intervals else [])])} |"


def _side(change: Change, side: Measured) -> str:
    value = amount(change.unit, side.value)
    if side.interval is None:
        return value
    low, high = (amount(change.unit, end) for end in side.interval)
    return f"{value} [{low}, {high}]"


def code(text: str) -> str:
    """A text as a code span, in which nothing has a meaning."""
    return f"`{_plain(text)}`" if text.strip() else ""


def _plain(text: str) -> str:
    # A backslash escapes a bar of a table even in code; nothing else is escaped there.
    return re.sub(r"\s+", " ", safe(text)).replace("`", "'").replace("|", "\\|")


def code_in(sentence: str) -> str:
    """A sentence of ours with names in it, none of which may mean anything."""
    plain = _plain(sentence)
    return f"`{plain}`" if re.search(r"[<>\[\]*_@#\\&]|https?:", plain) else plain


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    """Lines as a block that nothing in them ends."""
    yield "```diff"
    yield from (line.strip().replace("```", "'''") for line in lines)
    yield "```"


# CSV --------------------------------------------------------------------------------------------------------------------------

CSV_COLUMNS = (
    *("figure", "unit", "a", "a_tasks", "a_low", "a_high", "b", "b_tasks", "b_low", "b_high"),
    *("difference", "difference_low", "difference_high", "relative", "relative_low", "relative_high", "beyond_chance", "note"),
)
"""The columns of ``--csv``, in order."""


def as_csv(found: GroupComparison) -> str:
    """A row for each figure."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for change in found.changes:
        sides = [cell for side in (change.a, change.b) for cell in (side.value, side.known, *(side.interval or (None, None)))]
        moved = [change.difference, *(change.difference_interval or (None, None))]
        moved += [change.relative, *(change.relative_interval or (None, None))]
        beyond = change.is_beyond_chance
        cells = [change.name, change.unit, *sides, *moved, None if beyond is None else str(beyond).lower(), change.note]
        writer.writerow([csv_cell(cell) for cell in cells])
    return text.getvalue()
