"""Which spans of other libraries saw a request to a model, or a tool run, that another span counts.

Their recording says so. Of those without its attributes it is found out from how spans lie in each other, which is most of the
rule (``docs/decisions/0035-one-call-counted-once.md``): the innermost counts; what lies in an operation of ours is its.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from otel_agentlog.export.semconv import names
from otel_agentlog.record.foreign_spans import purpose_of, reading_of
from otel_agentlog.record.operations.seen_calls import is_another
from otel_agentlog.view.backends.foreign import says_itself
from otel_agentlog.view.backends.lines import Span, line_type, tool_of

_COUNTED = ("ai_request", "tool_call")
_ENDS_SEARCH = ("task", "tool_call")
"""A model that a tool asks is another request."""


def find_views(spans: Mapping[str, Span]) -> None:
    """Set `Span.same_call_as` and `Span.inside_call` of the spans, which are here by their ids."""
    kinds = {span_id: line_type(span) for span_id, span in spans.items()}
    for span in spans.values():
        kind = kinds[span.span_id]
        if kind == "ai_request":
            _place_call(span, spans, kinds)
        elif kind == "tool_call":
            _place_tool(span, spans, kinds)


def _place_call(span: Span, spans: Mapping[str, Span], kinds: Mapping[str, str]) -> None:
    if names.SAME_CALL_AS in span.attributes:
        return  # it does not count itself
    for above in around(span, spans):
        if kinds[above.span_id] in _ENDS_SEARCH:
            return
        if kinds[above.span_id] != "ai_request" or above.end_ns < span.start_ns or _is_another(above, span):
            continue
        if above.is_own:
            if not _says(span):
                span.same_call_as = above.span_id
            return
        span.inside_call = span.inside_call or above.span_id
        if not _says(above):
            above.same_call_as = above.same_call_as or span.span_id


def _place_tool(span: Span, spans: Mapping[str, Span], kinds: Mapping[str, str]) -> None:
    for above in around(span, spans):
        if kinds[above.span_id] not in _COUNTED and not above.is_own:
            continue
        if kinds[above.span_id] == "tool_call" and above.scope != span.scope:
            if above.is_own and not _says(span):
                span.same_call_as = above.span_id
            elif not _says(above) and tool_of(above) == tool_of(span):
                above.same_call_as = above.same_call_as or span.span_id
        return


def _is_another(above: Span, span: Span) -> bool:
    return is_another(purpose_of(reading_of(above.attributes)), purpose_of(reading_of(span.attributes)))


def _says(span: Span) -> bool:
    return span.is_own or says_itself(span.attributes)


def around(span: Span, spans: Mapping[str, Span]) -> Iterator[Span]:
    """What lies around a span, the nearest first."""
    seen = {span.span_id}
    above = spans.get(span.parent_span_id)
    while above is not None and above.span_id not in seen:
        seen.add(above.span_id)
        yield above
        above = spans.get(above.parent_span_id)
