"""Conditions on a comparison: read, written, answered; what is wrong about one is told with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.errors import FilterError
from otel_agentlog.query import Change, Measured, Threshold, parse_threshold
from otel_agentlog.query.comparison.gates import ABSOLUTE, LEVEL, RELATIVE, results
from otel_agentlog.query.comparison.samples import KINDS

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="<>"), min_size=1, max_size=12
)
SHARES = NAMES.map(lambda name: f"tool.{name}.failures")
FIGURES = (
    st.sampled_from(sorted(KINDS))
    | NAMES.map(lambda name: f"tool.{name}.calls")
    | SHARES
    | NAMES.map(lambda name: f"score.{name}")
    | NAMES.map(lambda name: f"error.{name}")
)
AMOUNTS = st.floats(0, 1e12, allow_nan=False) | st.integers(0, 10**9).map(float) | st.sampled_from([0.1, 0.07, 1e-7, 5e-324, 0.3])


@st.composite
def thresholds(draw: st.DrawFn) -> Threshold:
    """Any condition."""
    figure = draw(FIGURES)
    share = figure == "success" or (figure.startswith("tool.") and figure.endswith(".failures"))
    kind = draw(st.sampled_from([LEVEL, ABSOLUTE] if share else [LEVEL, ABSOLUTE, RELATIVE]))
    sign = 1 if kind == LEVEL else draw(st.sampled_from([1, -1]))
    return Threshold(figure, draw(st.sampled_from([">", ">=", "<", "<="])), sign * draw(AMOUNTS), kind, draw(st.booleans()))


@given(threshold=thresholds())
def test_what_is_written_is_read_as_the_same(threshold: Threshold) -> None:
    """And what is read is written the same again; of the amount of a relative one the last bit may be lost once."""
    read = parse_threshold(str(threshold))
    assert read.amount == pytest.approx(threshold.amount, rel=1e-15)
    assert Threshold(threshold.figure, threshold.operator, read.amount, threshold.kind, threshold.significant) == read
    assert parse_threshold(str(read)) == read


@given(
    text=st.text(max_size=40)
    | st.lists(st.sampled_from(["cost", "tool.x.calls", *"<>+-%$1s ", ">=", "pp", "0.5", "significant", "score."])).map("".join)
)
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    """Nothing else is raised."""
    found = None
    try:
        parse_threshold(text)
    except FilterError as error:
        found = error
    assert found is None or (0 <= found.position <= max(len(text), 1) and "expected" in str(found))


@pytest.mark.parametrize(
    ("text", "figure", "amount", "kind"),
    [
        ("cost>+10%", "cost", 0.1, RELATIVE),
        ("cost < -2.5 %", "cost", -0.025, RELATIVE),
        ("cost>$0.50", "cost", 0.5, LEVEL),
        ("cost_usd>+0.05", "cost", 0.05, ABSOLUTE),
        ("success<90%", "success", 0.9, LEVEL),
        ("success<-5pp", "success", -0.05, ABSOLUTE),
        ("success<0.9", "success", 0.9, LEVEL),
        ("dur>2m", "duration", 120.0, LEVEL),
        ("duration_p95>+1m30s", "duration_p95", 90.0, ABSOLUTE),
        ("duration>+10%", "duration", 0.1, RELATIVE),
        ("tokens>3k", "tokens", 3000.0, LEVEL),
        ("errors>+0", "errors", 0.0, ABSOLUTE),
        ("calls>=2", "ai_calls", 2.0, LEVEL),
        ("tool.web search.failures>+5pp", "tool.web search.failures", 0.05, ABSOLUTE),
        ("tool.a.calls.calls>1", "tool.a.calls.calls", 1.0, LEVEL),
        ("score.quality<-0.1", "score.quality", -0.1, ABSOLUTE),
        ("error.TIMEOUT>+0", "error.TIMEOUT", 0.0, ABSOLUTE),
    ],
)
def test_conditions_as_people_write_them(text: str, figure: str, amount: float, kind: str) -> None:
    """Names of the filter language, units, signs and spaces."""
    for more in ("", " significant"):
        found = parse_threshold(text + more)
        assert (found.figure, found.kind, found.significant) == (figure, kind, bool(more))
        assert found.amount == pytest.approx(amount)


@pytest.mark.parametrize(
    ("text", "said", "position"),
    [
        ("csot>1", "found 'csot', did you mean 'cost'", 0),
        ("  csot>1", "found 'csot'", 2),
        ("cost", "without < or >", 4),
        ("cost>", "expected a number behind '>', found none", 5),
        ("cost>10%", "expected a sign in front of a percentage", 5),
        ("success<-5%", "expected percentage points, as it is a share itself: -5pp", 8),
        ("success<5pp", "expected a sign in front of points", 8),
        ("cost>much", "expected a number such as 0.50 or +10%, found 'much'", 5),
        ("duration>soon", "expected a span of time", 9),
        (">1", "found no figure in front", 0),
        ("cost=1", "without < or >", 6),
        ("cost>1 2", "found '1 2'", 5),
        ("tool..calls>1", "found 'tool..calls'", 0),
        ("cost>" + "1" * 400, "at most 300 characters", 300),
        ("cost>1e999", "expected a number", 5),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, said: str, position: int) -> None:
    """What was expected, what was found, where."""
    with pytest.raises(FilterError) as found:
        parse_threshold(text)
    assert said in str(found.value)
    assert found.value.position == position


def _change(a: float | None, b: float | None, name: str = "cost", **more: object) -> Change:
    return Change(name, "usd", Measured(a, 9), Measured(b, 9, (1.0, 2.0)), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "a", "b", "holds"),
    [
        ("cost>+10%", 1.0, 1.1, False),
        ("cost>=+10%", 1.0, 1.1, True),
        ("cost>+10%", 1.0, 1.11, True),
        ("cost>+10%", 0.0, 0.1, True),  # more than nothing is more than any share
        ("cost>+10%", 0.0, 0.0, False),
        ("cost<-10%", 1.0, 0.89, True),
        ("cost>+0.1", 0.2, 0.3, False),  # 0.3 - 0.2 is no more than 0.1, whatever floats say
        ("cost>0.25", 9.0, 0.3, True),
        ("cost>0.25", None, 0.3, True),
        ("cost>+10%", None, 0.3, None),
        ("cost<1", 1.0, None, None),
        ("tokens>1", 1.0, 1.0, None),
    ],
)
def test_what_comes_of_a_condition(text: str, a: float | None, b: float | None, holds: bool | None) -> None:
    """It holds, or does not, or cannot be told."""
    assert results([parse_threshold(text)], [_change(a, b)])[0].holds is holds


def test_significant_asks_the_whole_interval() -> None:
    """Of the level that of B, of a change that of the difference or of the ratio; without one it cannot be told, and why."""
    sure = _change(1.0, 1.5, difference_interval=(0.2, 0.8), relative_interval=(0.2, 0.8))
    for text, holds in (
        ("cost>+10%", True),
        ("cost>+30%", False),
        ("cost<+90%", True),
        ("cost>+0.1", True),
        ("cost<+0.5", False),
        ("cost>0.9", True),
        ("cost>1.5", False),
    ):
        assert results([parse_threshold(f"{text} significant")], [sure])[0].holds is holds, text
    few = _change(1.0, 2.0, note="n = 3: no interval")
    found = results([parse_threshold("cost>+10% significant")], [few])[0]
    assert (found.holds, found.why) == (None, "n = 3: no interval")
