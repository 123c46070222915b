"""Requests to models that were seen in one task, so that each is counted once, however many libraries report it.

The rule (``docs/decisions/0035-one-call-counted-once.md``): where one view lies inside another, the innermost counts; side by
side the first to end counts: of one response id, or without ids at the same time. A later view of the same request only adds what
the others did not know. Nothing is looked for across a tool run: a model that a tool asks is another request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import field, replace
from itertools import islice
from typing import Any, TypeAlias

from otel_agentlog._interrupts import first_of
from otel_agentlog._startup import dataclass
from otel_agentlog.vocabulary.usage import USAGE_FIELDS, Response, Usage

OWN = ""
"""The scope of our own operations; all others are named by their instrumentation scope."""

MAX_REMEMBERED = 1000
"""Spans, and ids of responses, that a task remembers; the oldest are forgotten. Also requests inside one span."""


Failures: TypeAlias = dict[tuple[str, str], tuple[str, str | None]]
"""Errors by type and beginning of the message, each with its id and its category."""

MAX_FAILURES = 100
"""Of these the first are kept."""

MAX_BESIDE = 100
"""Open AI spans, and those that have ended, the latest of each, among which the one is looked for that another lies beside."""


Purpose: TypeAlias = "tuple[bool, str | None]"
"""Whether a request was for embeddings, and its model, where it is known."""


@dataclass(eq=False, slots=True)
class Call:
    """One request to a model, and what is counted of it so far."""

    span_id: str
    """16 hex digits, of the span that counts it."""
    start_ns: int
    end_ns: int
    scopes: set[str]
    """Who reported it."""
    response: Response = field(default_factory=Response)
    cost_usd: float | None = None
    response_ids: frozenset[str] = frozenset()
    failed: bool = False
    stopped: bool = False
    """Whether it ended because its caller wanted no more of it, which not every library calls a failure."""
    error: tuple[str, str | None] | None = None
    """Id and category of the error that it failed with, once a span of another library had it."""
    lent_to: Seen | None = None
    """The `AiCall` of ours in which it lies, and which counts it as its own."""
    is_run: bool = False
    """Whether it is what an agent's whole run says of all its requests."""
    is_reported: bool = False
    """Whether it is what a framework's processor says of a request, in which the user's own call may lie."""
    purpose: Purpose = (False, None)


@dataclass(eq=False, slots=True)
class Run:
    """One run of a tool that counts, of ours or of another library."""

    tool: str
    span_id: str
    scopes: set[str]
    """Who reported it."""
    start_ns: int
    end_ns: int | None
    """``None`` while it goes on."""
    place: Any
    """The operation of ours in which it began, as a weak reference."""
    flow: tuple[int, int | None] | None
    arguments: Any = None
    """As its line has them; as `_brief` has them once it is remembered."""
    below: str | None = None
    """As of `Seen`, of another library's."""


@dataclass(eq=False, slots=True)
class Seen:
    """What may see a request to a model: an `AiCall` of ours, or a span of another library, whatever it turns out to be."""

    span_id: str
    scope: str
    start_ns: int
    around: Seen | None = None
    """The next one around it that was open when it began; ``None`` if a tool run or a task lies between."""
    above: Seen | None = None
    """The next span of another library around it, whatever lies between."""
    place: Callable[[], Any] | None = None
    """Gives the operation of ours in which it began, unless that is gone."""
    below: str | None = None
    """The span id of the next span around it that is of another library, of ours or not recorded: libraries that do not make
    their spans current nest them all the same."""
    end_ns: int | None = None
    is_ai_call: bool = False
    flow: tuple[int, int | None] | None = None
    """The thread, and the asyncio task in it, in which it began; ``None`` if it was told of later."""
    tool: str | None = None
    """The tool's name, if it is a tool run."""
    calls: list[Call] = field(default_factory=list)
    """The requests seen inside it."""
    tools: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The tool runs inside it that count: scope and span id by name."""
    call: Call | None = None
    """The request it turned out to have seen, once it has ended."""
    request: tuple[str | None, str | None, str | None] = (None, None, None)
    """Of an AI span: its parent's span id, provider and model, as far as its attributes have them."""
    purpose: Purpose = (False, None)
    beside: Seen | None = None
    """The open AI span of another library that may see the same request, but was not made current: it is no parent."""
    taken: bool = False
    """Whether another one lies beside it."""
    completes: bool = False
    """Whether it tells what came of a request that its library has ended a span for already, as logfire does of a stream."""
    failures: Failures | None = None
    """The errors that passed out of spans of other libraries inside it."""

    def open_at(self, time_ns: int) -> Seen | None:
        """This, or the next around it, that had not ended at this time."""
        seen: Seen | None = self
        while seen is not None and seen.tool is None:
            if seen.end_ns is None or seen.end_ns >= time_ns:
                return seen
            seen = seen.around
        return None

    def outwards(self) -> Iterator[Seen]:
        """What lies around it, the nearest first."""
        seen = self.around
        while seen is not None:
            yield seen
            seen = seen.around

    def became_tool(self, name: str) -> None:
        """It was a tool run: what a model was asked in it is no matter of what lies around."""
        self.tool = name
        for around in self.outwards():
            around.calls = [call for call in around.calls if call not in self.calls]

    def same_tool(self) -> str | None:
        """The span id of the tool run of the same name, as another library or we saw it, inside or directly around this one."""
        scope, span_id = self.tools.get(self.tool or "", (self.scope, ""))
        if scope != self.scope:
            return span_id
        above = self.above
        while above is not None and above.tool is None:
            above = above.above
        return above.span_id if above is not None and above.tool == self.tool and above.scope != self.scope else None

    def own_call(self) -> Seen | None:
        """The `AiCall` of ours in which it lies, unless that is another request."""
        found = next((seen for seen in self.outwards() if seen.scope == OWN), None)
        return None if found is None or is_another(found.purpose, self.purpose) else found

    def inside_call(self) -> str | None:
        """The span id of the next AI span of another library that is open, and around it or else beside it."""
        around = (
            seen
            for seen in self.outwards()
            if seen.is_ai_call and seen.scope != OWN and seen.end_ns is None and not is_another(seen.purpose, self.purpose)
        )
        found = next(around, self.beside)
        return found.span_id if found is not None and found.end_ns is None else None

    def may_see_what(self, other: Seen, within: bool = True, alike: bool = False) -> bool:
        """Whether another AI span may be of the same request: of another library, in the same place, not of another model.

        Not every library makes its spans current. So they are in the same place, too, where one lies ``within`` the time of the
        other and nothing but spans of their own libraries is between their parents; and where one operation of ours began both,
        in one thread or asyncio task, or with tokens that are ``alike``, unless one is below the other all the same.
        """
        if other.scope == self.scope or not _one_model(self.request[2], other.request[2]):
            return False
        if other.request[0] == self.request[0] or (within and other.below == self.below):
            return True
        together = (alike and within) or (self.flow is not None and other.flow == self.flow)
        return together and self.begun_with(other) and not self.is_below(other) and not other.is_below(self)

    def is_below(self, other: Seen) -> bool:
        """Whether another span is around it by their parents."""
        above = self.above
        while above is not None and above is not other:
            above = above.above
        return above is not None

    def begun_with(self, other: Seen) -> bool:
        """Whether both began in one operation of ours."""
        place = None if self.place is None else self.place()
        return place is not None and other.place is not None and other.place() is place

    def lies_beside(self, other: Seen, within: bool, alike: bool) -> bool:
        """Whether it, or an AI span around it, may see what the other one does, or an AI span around that."""
        return any(one.may_see_what(its, within, alike) for one in self._views() for its in other._views())

    def _views(self) -> Iterator[Seen]:
        yield self
        yield from (seen for seen in self.outwards() if seen.is_ai_call and seen.scope != OWN)

    def of_one_provider(self, other: Seen) -> bool:
        """Whether both name the provider alike, or one does not name it."""
        ours, theirs = self.request[1], other.request[1]
        return ours is None or theirs is None or ours.lower() == theirs.lower()


def is_another(one: Purpose, other: Purpose) -> bool:
    """Whether one was for embeddings and the other was not, of another model: an answer whose making needed embeddings."""
    return one[0] != other[0] and not _one_model(one[1], other[1])


def _one_model(one: str | None, other: str | None) -> bool:
    """Whether two names may be of one model: some have its maker or place before it (``models/…``, ``anthropic.…``)."""
    if one is None or other is None or one == other:
        return True
    short, long = sorted((one.lower(), other.lower()), key=len)
    return long.endswith(short) and (len(long) == len(short) or long[-len(short) - 1] in "/.:")


@dataclass(frozen=True, slots=True)
class Added:
    """What a further view of a request knows that the earlier ones did not."""

    other: Call
    """The request it is, or the first of them."""
    usage: Usage
    cost_usd: float | None

    @property
    def anything(self) -> bool:
        """Whether there is something to count."""
        return bool(self.usage.known()) or self.cost_usd is not None


class SeenCalls:
    """The spans and requests of one task. Threads may race; at worst two views are not found to be of one request."""

    def __init__(self) -> None:
        self.spans: dict[str, Seen] = {}
        """Spans of other libraries by span id, those that have ended too."""
        self._by_response: dict[str, Call] = {}
        self._open: dict[str, Seen] = {}
        """AI spans that have begun and not ended, by span id."""
        self._counted: deque[Seen] = deque(maxlen=MAX_BESIDE)
        """The AI spans of other libraries that count, the latest ones, in the order in which they ended."""
        self._runs: deque[Run] = deque(maxlen=MAX_BESIDE)
        """The latest runs of tools that count."""

    def add(self, seen: Seen) -> None:
        """Remember a span of another library that begins."""
        _remember(self.spans, seen.span_id, seen)

    def begin_call(self, seen: Seen, request: tuple[str | None, str | None, str | None]) -> None:
        """Note that a span of another library begins as an AI span, and what lies beside it."""
        seen.request = request
        beside = [
            other
            for other in [*self._open.copy().values()][-MAX_BESIDE:]
            if seen.may_see_what(other) and seen.of_one_provider(other)
        ]
        if beside:
            seen.beside = next((other for other in reversed(beside) if not other.taken), beside[-1])
            seen.beside.taken = True
        _remember(self._open, seen.span_id, seen)

    def end_span(self, seen: Seen, end_ns: int) -> None:
        """Note that a span of another library has ended."""
        seen.end_ns = end_ns
        self._open.pop(seen.span_id, None)

    def count(self, seen: Seen, report: Call) -> Added | None:
        """Take what a view reports at its end; ``None`` if the request is new, and counts."""
        # Of a call of ours nearly always nothing else was seen, and there is nothing to look for.
        apart = seen.around is None and not seen.calls and (seen.scope == OWN or not self._counted)
        is_new = apart and self._by_response.keys().isdisjoint(report.response_ids)
        others: list[Call] = [] if is_new else self._same(seen, report)
        if not others:
            seen.call = report
            if seen.scope != OWN:
                self._counted.append(seen)
            for response_id in report.response_ids:
                _remember(self._by_response, response_id, report)
            if seen.around is None:
                return None
            for around in seen.outwards():
                if len(around.calls) < MAX_REMEMBERED:
                    around.calls.append(report)
                if report.lent_to is not None and around.scope == OWN:
                    break
            return None
        if len(others) == 1:
            seen.call = others[0]
            others[0].scopes |= report.scopes
            others[0].response_ids |= report.response_ids
            for response_id in report.response_ids:
                _remember(self._by_response, response_id, others[0])
        return _merge(others, report)

    def _same(self, seen: Seen, report: Call) -> list[Call]:
        if seen.scope == OWN:
            # What the user says of an own call holds; only the same answer is the same request, or the run of all inside.
            own = [call for call in seen.calls if call.lent_to is None]
            is_view = report.is_run or (report.is_reported and len(own) == len(seen.calls) and _sums_up(own, report))
            inside = own if is_view else [call for call in own if call.response_ids & report.response_ids]
        else:
            inside = [call for call in seen.calls if not is_another(call.purpose, report.purpose)]
        if inside:
            return inside
        for response_id in report.response_ids:
            known = self._by_response.get(response_id)
            if known is not None and known not in seen.calls and _is_same(known, report):
                return [known]
        late = (around.call for around in seen.outwards() if around.end_ns is not None and around.call is not None)
        # What around it ended first may have seen the request that was lent to it.
        for call in late:
            if call is not None and call.lent_to is not seen and not is_another(call.purpose, report.purpose):
                return [call]
        if seen.completes and (begun := self._begun_by(seen)) is not None:
            return [begun]
        return [] if seen.scope == OWN else self._beside(seen, report)

    def _begun_by(self, seen: Seen) -> Call | None:
        """The latest request of the same library, place, provider and model of whose answer nothing is known yet."""
        for other in reversed(self._counted.copy()):
            call = other.call
            if call is None or call.failed or call.response_ids or call.response.usage.known():
                continue
            if other.scope == seen.scope and other.request == seen.request:
                return call
        return None

    def _beside(self, seen: Seen, report: Call) -> list[Call]:
        """The request that a view beside it has counted: not every request has an id, nor does every library tell it."""
        found: list[tuple[bool, bool, bool, Call]] = []
        for other in reversed(self._counted.copy()):
            call = other.call
            if call is None or call.scopes & report.scopes or (alike := _figures_agree(call, report)) is None:
                continue
            if not seen.lies_beside(other, _one_within(call, report), alike) or not (alike or seen.of_one_provider(other)):
                continue
            if call.start_ns < report.end_ns and report.start_ns < call.end_ns:
                found.append(
                    (alike, seen.flow is not None and seen.flow == other.flow, seen.beside is other or other.beside is seen, call)
                )
        return [max(found, key=lambda each: each[:3])[3]] if found else []

    def add_run(self, run: Run) -> None:
        """Remember a run of a tool, for a view of it that does not lie around it by its parents."""
        run.arguments = _brief(run.arguments)
        self._runs.append(run)

    def run_beside(self, seen: Seen, arguments: Any) -> Run | None:
        """The run of the same tool that a view of another library, which has ended, saw beside its own span; each sees one once.

        It began in the same operation of ours. What runs in one thread or asyncio task runs one after the other: what lies in
        time in the view there is its run; what began elsewhere is it with the same arguments.
        """
        found: list[tuple[bool, int, Run]] = []
        arguments = _brief(arguments)
        for run in self._runs.copy():
            if run.tool != seen.tool or seen.scope in run.scopes or not _in_time_of(run, seen):
                continue
            place = run.place()
            if place is None or seen.place is None or seen.place() is not place:
                continue
            alike = _same_arguments(arguments, run.arguments)
            if alike or (run.flow is not None and run.flow == seen.flow):
                found.append((not alike, run.start_ns, run))
        if not found:
            return None
        # That which began first: a view that ends later may have begun later, too.
        run = min(found, key=lambda each: each[:2])[2]
        run.scopes.add(seen.scope)
        return run

    @staticmethod
    def count_tool(seen: Seen | None, name: str, scope: str, span_id: str) -> None:
        """Tell the spans of other libraries around a tool run that it counts; ``seen`` is the nearest."""
        while seen is not None:
            seen.tools[name] = scope, span_id
            seen = seen.above if seen.tool is None else None


def _in_time_of(run: Run, seen: Seen) -> bool:
    """Whether a run of ours lies in time in a view, and one of another library at the same time and in the same place."""
    if seen.end_ns is None:
        return False
    if OWN in run.scopes:
        return seen.start_ns <= run.start_ns and (run.end_ns or run.start_ns) <= seen.end_ns
    return run.below == seen.below and run.start_ns < seen.end_ns and seen.start_ns < (run.end_ns or run.start_ns)


_SHORT = 200


def _brief(arguments: Any) -> Any:
    """What arguments are told apart by, of a bounded size, as many runs are remembered: of what is long or nested, its length."""
    if type(arguments) is not dict:
        return None
    return {
        key: value if not hasattr(value, "__len__") else value if type(value) is str and len(value) <= _SHORT else _summary(value)
        for key, value in islice(arguments.items(), _SHORT)
    }


def _summary(value: Any) -> tuple[object, ...]:
    return (type(value), len(value), hash(value) if type(value) is str else None)


def _same_arguments(given: Any, ours: Any) -> bool:
    """Whether the arguments that a framework gave are those of a run, which may have more: defaults, a context."""
    if type(given) is not dict or type(ours) is not dict:
        return False
    return all(key in ours and ours[key] == value for key, value in given.items())


def _remember(known: dict[str, object] | dict[str, Seen] | dict[str, Call], key: str, value: object) -> None:
    found: dict[str, object] = known  # type: ignore[assignment]  # of one type each
    found.pop(key, None)
    found[key] = value
    while len(found) > MAX_REMEMBERED:
        found.pop(first_of(found) or key, None)


def _is_same(known: Call, report: Call) -> bool:
    """Whether two reports with the same response id are of one request.

    Ids are not unique everywhere: local servers draw them from a small range or send a fixed one. So one library's reports are of
    one request only if they overlap in time, ours never, and what does not overlap has to agree in its tokens.
    """
    overlap = report.start_ns <= known.end_ns and known.start_ns <= report.end_ns
    shared = known.scopes & report.scopes
    if shared and (not overlap or OWN in shared):
        return False
    if overlap and not shared:
        return True
    ours, theirs = known.response.usage, report.response.usage
    pairs = ((ours.input_tokens, theirs.input_tokens), (ours.output_tokens, theirs.output_tokens))
    return all(not a or not b or a == b for a, b in pairs)


def _one_within(known: Call, report: Call) -> bool:
    """Whether one of two reports lies in time in the other, or began in one that was stopped: its stream may be closed later."""
    outer, inner = (known, report) if known.start_ns <= report.start_ns else (report, known)
    return inner.end_ns <= outer.end_ns or outer.stopped


def _figures_agree(known: Call, report: Call) -> bool | None:
    """Whether two reports have the same tokens, as far as both know them; ``None`` if they contradict each other."""
    if known.failed != report.failed and not (known.stopped or report.stopped):
        return None
    if known.response_ids and report.response_ids and known.response_ids.isdisjoint(report.response_ids):
        return None
    ours, theirs = known.response.usage, report.response.usage
    pairs = ((ours.input_tokens, theirs.input_tokens), (ours.output_tokens, theirs.output_tokens))
    compared = [one == other for one, other in pairs if one and other]
    return bool(compared) if all(compared) else None


def _sums_up(inside: list[Call], report: Call) -> bool:
    """Whether a report says of its tokens what the calls inside it say together, as far as all know them."""
    if any(is_another(call.purpose, report.purpose) for call in inside):
        return False
    for name in ("input_tokens", "output_tokens"):
        counts = [getattr(call.response.usage, name) for call in inside if not call.failed]
        whole = getattr(report.response.usage, name)
        if whole and all(counts) and sum(counts) != whole:
            return False
    return True


def _merge(others: list[Call], report: Call) -> Added:
    """Add to the calls what they did not know of themselves; a count of 0 is taken for one that was not read."""
    added: dict[str, int] = {}
    for name in USAGE_FIELDS:
        value = getattr(report.response.usage, name)
        known = [getattr(call.response.usage, name) or 0 for call in others]
        if value and not all(known) and value > sum(known):
            added[name] = value - sum(known)
            call = others[known.index(0)]
            call.response = replace(call.response, usage=call.response.usage._replace(**{name: added[name]}))
    costs = [call.cost_usd for call in others if call.cost_usd is not None]
    cost = None
    if report.cost_usd is not None and (not costs or "input_tokens" in added or "output_tokens" in added):
        rest = round(report.cost_usd - sum(costs), 12)
        if rest > 0 or not costs:
            cost, others[0].cost_usd = rest, (others[0].cost_usd or 0.0) + rest
    return Added(others[0], Usage(**added), cost)


def add_rest(call: Call, report: Call) -> Added:
    """Add to a call what a later report of the same stream has more."""
    added = {name: count - (getattr(call.response.usage, name) or 0) for name, count in report.response.usage.known().items()}
    added = {name: count for name, count in added.items() if count > 0}
    call.response = replace(call.response, usage=call.response.usage + Usage(**added))
    rest = round((report.cost_usd or 0.0) - (call.cost_usd or 0.0), 12)
    if report.cost_usd is None or rest <= 0:
        return Added(call, Usage(**added), None)
    call.cost_usd = report.cost_usd
    return Added(call, Usage(**added), rest)
