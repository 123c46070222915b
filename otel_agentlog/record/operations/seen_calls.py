"""Requests to models that were seen in one task, so that each is counted once, however many libraries report it.

A view is an `AiCall` of ours or an AI span of another library. When one ends, `SeenCalls.count` looks for the request that it saw
among those that count already, in these ways (`WAYS`); the first that finds one holds, and where none does the request is new:

1. **inside**: what was seen in it, as the innermost counts. In one of ours only the same answer, or all that it is the sum of.
2. **answer**: what has the same response id, unless time or tokens say that the id was used again.
3. **around**: what a view around it saw that ended first.
4. **completes**: it tells what came of a request of its library, of whose answer nothing is known: the latest.
5. **beside**: what a view of another library saw, if no sign denies it. For all others this is the only way they can meet.

=========  =============================  ========================  =======================================================
sign       needed from both views         if they agree             if they do not
=========  =============================  ========================  =======================================================
library    who reported it                different: sees it once   unknown
time       start and end                  unknown: they overlap     different
outcome    whether it failed              unknown                   different, unless the caller of one stopped it
ids        ids of the response            same: that is way 2        different
tokens     input or output, not 0         same, in one operation     different
provider   its name                       unknown                   different, unless the tokens are the same
place      parent, thread, time, model    same                      different: `Seen.in_place_of`
=========  =============================  ========================  =======================================================

One that says different wins over all that say same (`SIGNS`); what one of the views does not tell is unknown, and denies nothing.
Nothing is looked for across a tool run, nor from an answer to the embeddings that its making needed: those are other requests.
Why: ``docs/decisions/0035-one-call-counted-once.md``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import field, replace
from itertools import islice
from typing import Any, TypeAlias

from otel_agentlog._interrupts import first_of
from otel_agentlog._startup import dataclass, lazy_pattern
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
    models: frozenset[str] = frozenset()
    """All names that it had for the model: some libraries put that of the answer in the place of the one that was requested."""
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

    def upwards(self) -> Iterator[Seen]:
        """The spans of other libraries around it by their parents, the nearest first."""
        seen = self.above
        while seen is not None:
            yield seen
            seen = seen.above

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
        above = next((seen for seen in self.upwards() if seen.tool is not None), None)
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

    def in_place_of(self, other: Seen, within: bool = True, alike: bool = False) -> bool:
        """Whether another AI span may be of the same request: of another library, in the same place, not of another model.

        Not every library makes its spans current. So they are in the same place, too, where one lies ``within`` the time of the
        other and nothing but spans of their own libraries is between their parents; and where one operation of ours began both,
        in one thread or asyncio task, or with tokens that are ``alike``, unless one is below the other all the same.
        """
        if other.scope == self.scope or not self.of_one_model(other):
            return False
        if other.request[0] == self.request[0] or (within and other.below == self.below):
            return True
        together = (alike and within) or self.in_flow_of(other)
        if not (together and self.begun_with(other)):
            return False
        return all(seen is not other for seen in self.upwards()) and all(seen is not self for seen in other.upwards())

    def in_flow_of(self, other: Seen) -> bool:
        """Whether one thread or asyncio task began both."""
        return self.flow is not None and self.flow == other.flow

    def begun_with(self, other: Seen) -> bool:
        """Whether both began in one operation of ours."""
        place = None if self.place is None else self.place()
        return place is not None and other.place is not None and other.place() is place

    def views(self) -> Iterator[Seen]:
        """It, and the AI spans of other libraries around it."""
        yield self
        yield from (seen for seen in self.outwards() if seen.is_ai_call and seen.scope != OWN)

    def of_one_provider(self, other: Seen) -> bool:
        """Whether both name the provider alike, or one does not name it."""
        ours, theirs = self.request[1], other.request[1]
        return ours is None or theirs is None or ours.lower() == theirs.lower()

    def of_one_model(self, other: Seen) -> bool:
        """Whether one of its names for the model may be one of the other's, or one does not name it."""
        named = self.models and other.models
        return not named or any(_one_model(ours, theirs) for ours in self.models for theirs in other.models)


_VERSION = lazy_pattern(r"[-@](\d{8}|\d{4}-\d\d-\d\d|\d{4}|\d{3}|latest)$")
"""In a model's name, at its end."""


def is_another(one: Purpose, other: Purpose) -> bool:
    """Whether one was for embeddings and the other was not, of another model: an answer whose making needed embeddings."""
    return one[0] != other[0] and not _one_model(one[1], other[1])


def _one_model(one: str | None, other: str | None) -> bool:
    """Whether two names may be of one model.

    Some have its maker or place before it (``models/…``, ``anthropic.…``), and that of an answer has the version that an alias
    stands for (``gpt-5``: ``gpt-5-2025-08-07``).
    """
    if one is None or other is None or one == other:
        return True
    versions = [found[1].replace("-", "") for name in (one, other) if (found := _VERSION.search(name.lower()))]
    if len(versions) == 2 and versions[0] != versions[1] and "latest" not in versions:
        return False
    short, long = sorted((_VERSION.sub("", name.lower()) for name in (one, other)), key=len)
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
        seen.request, seen.models = request, frozenset([request[2]] if request[2] else ())
        beside = [
            other
            for other in [*self._open.copy().values()][-MAX_BESIDE:]
            if seen.in_place_of(other) and seen.of_one_provider(other)
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
        others: list[Call] = [] if is_new else next((found for way in WAYS if (found := way(self, seen, report))), [])
        if len(others) < 2:
            seen.call = known = others[0] if others else report
            for response_id in report.response_ids:
                _remember(self._by_response, response_id, known)
            if others:
                known.scopes |= report.scopes
                known.response_ids |= report.response_ids
        if others:
            return _merge(others, report)
        if seen.scope != OWN:
            self._counted.append(seen)
        for around in seen.outwards() if seen.around is not None else ():
            if len(around.calls) < MAX_REMEMBERED:
                around.calls.append(report)
            if report.lent_to is not None and around.scope == OWN:
                break
        return None

    def inside(self, seen: Seen, report: Call) -> list[Call]:
        """All that was seen in it. What the user says of an own call holds: there the same answer, or all that it sums up."""
        if seen.scope != OWN:
            return [call for call in seen.calls if not is_another(call.purpose, report.purpose)]
        own = [call for call in seen.calls if call.lent_to is None]
        if report.is_run or (report.is_reported and len(own) == len(seen.calls) and _sums_up(own, report)):
            return own
        return [call for call in own if call.response_ids & report.response_ids]

    def of_answer(self, seen: Seen, report: Call) -> list[Call]:
        """What has the same response id."""
        known = (self._by_response.get(response_id) for response_id in report.response_ids)
        return [call for call in known if call is not None and call not in seen.calls and _one_answer(call, report)][:1]

    def of_around(self, seen: Seen, report: Call) -> list[Call]:
        """What a view around it saw that ended first, unless that is what this one lent to it."""
        for around in seen.outwards():
            call = around.call if around.end_ns is not None else None
            if call is not None and call.lent_to is not seen and not is_another(call.purpose, report.purpose):
                return [call]
        return []

    def completed(self, seen: Seen, report: Call) -> list[Call]:
        """The latest request of the same library, place, provider and model of whose answer nothing is known yet."""
        for other in reversed(self._counted.copy() if seen.completes else ()):
            call = other.call
            unknown = call is not None and not (call.failed or call.response_ids or call.response.usage.known())
            if call is not None and unknown and (other.scope, other.request) == (seen.scope, seen.request):
                return [call]
        return []

    def beside(self, seen: Seen, report: Call) -> list[Call]:
        """What a view beside it saw, if no sign denies it: of several the nearest, of those the latest."""
        if seen.scope == OWN:
            return []
        others = [(other, other.call) for other in reversed(self._counted.copy()) if other.call is not None]
        pairs = (Pair(seen, report, other, call, tokens_agree(call, report)) for other, call in others)
        one = [pair for pair in pairs if all(sign(pair) is not False for sign in SIGNS.values())]
        return [max(one, key=Pair.nearness).call] if one else []

    def add_run(self, run: Run) -> None:
        """Remember a run of a tool, for a view of it that does not lie around it by its parents."""
        run.arguments = _brief(run.arguments)
        self._runs.append(run)

    def run_beside(self, seen: Seen, arguments: Any) -> Run | None:
        """The run of the same tool that a view of another library, which has ended, saw beside its own span; each sees one once.

        It began in the same operation of ours. What runs in one thread or asyncio task runs one after the other: what lies in
        time in the view there is its run; what began elsewhere is it with the same arguments.
        """
        given, place = _brief(arguments), None if seen.place is None else seen.place()
        found = [
            (not alike, run.start_ns, run)
            for run in self._runs.copy()
            if run.tool == seen.tool and seen.scope not in run.scopes and _in_time_of(run, seen)
            if place is not None and run.place() is place
            if (alike := _same_arguments(given, run.arguments)) or (run.flow is not None and run.flow == seen.flow)
        ]
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


def _remember(known: dict[str, Any], key: str, value: Seen | Call) -> None:
    known.pop(key, None)
    known[key] = value
    while len(known) > MAX_REMEMBERED:
        known.pop(first_of(known) or key, None)


def _one_answer(known: Call, report: Call) -> bool:
    """Whether two reports with the same response id are of one request.

    Ids are not unique everywhere: local servers draw them from a small range or send a fixed one. So one library's reports are of
    one request only if they overlap in time, ours never, and what does not overlap has to agree in its tokens.
    """
    overlap = report.start_ns <= known.end_ns and known.start_ns <= report.end_ns
    shared = known.scopes & report.scopes
    if shared and (not overlap or OWN in shared):
        return False
    return (overlap and not shared) or tokens_agree(known, report) is not False


def _shared(one: frozenset[str], other: frozenset[str]) -> bool | None:
    return not one.isdisjoint(other) if one and other else None


def tokens_agree(one: Call, other: Call) -> bool | None:
    """Whether two reports have the same tokens, as far as both know them; ``None`` if they share none."""
    ours, theirs = one.response.usage, other.response.usage
    pairs = ((ours.input_tokens, theirs.input_tokens), (ours.output_tokens, theirs.output_tokens))
    compared = [known == reported for known, reported in pairs if known and reported]
    return all(compared) if compared else None


@dataclass(frozen=True, slots=True)
class Pair:
    """A view that ends, and one beside it that counts, with what each reports."""

    seen: Seen
    report: Call
    other: Seen
    call: Call
    alike: bool | None
    """`tokens_agree` of both."""

    def in_one_place(self) -> bool:
        """Whether one of the views, or an AI span around it, may be what the other is, or one around that."""
        within = _is_within(self.call, self.report) or _is_within(self.report, self.call)
        return any(one.in_place_of(its, within, bool(self.alike)) for one in self.seen.views() for its in self.other.views())

    def nearness(self) -> tuple[bool, bool, bool]:
        """The larger, the likelier they are of one request."""
        beside = self.seen.beside is self.other or self.other.beside is self.seen
        return bool(self.alike), self.seen.in_flow_of(self.other), beside


def _is_within(one: Call, other: Call) -> bool:
    """Whether one lies in time in the other, or began in it and that was stopped: its own stream may be closed later."""
    return other.start_ns <= one.start_ns and (one.end_ns <= other.end_ns or other.stopped)


SIGNS: dict[str, Callable[[Pair], bool | None]] = {
    "library": lambda two: False if two.call.scopes & two.report.scopes else None,
    "time": lambda two: None if two.call.start_ns < two.report.end_ns and two.report.start_ns < two.call.end_ns else False,
    "outcome": lambda two: None if two.call.failed == two.report.failed or two.call.stopped or two.report.stopped else False,
    "ids": lambda two: _shared(two.call.response_ids, two.report.response_ids),
    "tokens": lambda two: two.alike,
    "provider": lambda two: None if two.alike or two.seen.of_one_provider(two.other) else False,
    "place": Pair.in_one_place,
}
"""Whether two views beside each other are of one request, or ``None`` for what is not known of one. The cheap ones come first."""

WAYS = (SeenCalls.inside, SeenCalls.of_answer, SeenCalls.of_around, SeenCalls.completed, SeenCalls.beside)
"""Where the request is looked for that a view saw, in this order."""


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
