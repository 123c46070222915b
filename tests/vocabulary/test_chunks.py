"""Chunks of texts are joined: each text is whole, whatever comes between its chunks."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.vocabulary.chunks import CHUNKS, Joiner, joined
from otel_agentlog.vocabulary.lines import Line

WORDS = st.text("ab \n", min_size=0, max_size=4)
STREAMS = st.tuples(st.sampled_from(["output", "thinking"]), st.sampled_from(["s1", "s2", ""]), st.sampled_from(["p", "q"]))


def _line(kind: str, span: str, writer: str, **more: Any) -> Line:
    return {"type": kind, "span_id": span, "event_id": f"{writer}-1", **more}


@given(st.dictionaries(STREAMS, st.lists(WORDS, min_size=1, max_size=5), max_size=6), st.randoms(use_true_random=False))
def test_interleaved_texts_come_out_whole(texts: dict[tuple[str, str, str], list[str]], chance: Any) -> None:
    """Whatever the order in which chunks of several texts, and lines that are none, come."""
    waiting = {key: list(enumerate(words, 1)) for key, words in texts.items()}
    lines: list[Line] = []
    while waiting:
        key = chance.choice(sorted(waiting))
        number, word = waiting[key].pop(0)
        lines.append(_line(*key, content=word, chunk=number))
        lines += [_line("log", key[1], key[2], message="between")] if chance.random() < 0.3 else []
        waiting = {key: left for key, left in waiting.items() if left}

    found = list(joined(lines))
    assert {(each["type"], each["span_id"], each["event_id"][0]): each["content"] for each in found if CHUNKS in each} == {
        key: "".join(words) for key, words in texts.items()
    }
    assert sum(CHUNKS in each for each in found) == len(texts)
    assert sum(each["type"] == "log" for each in found) == sum(each["type"] == "log" for each in lines)
    joiner = Joiner()
    grown = [each for line in lines if (each := joiner.add(line)) is not None]
    joiner.settle()
    assert sorted(map(repr, grown)) == sorted(map(repr, found))


ANY = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["output", "thinking", "log", 3, None]),
        "span_id": st.sampled_from(["s1", "s2", 7, None]),
        "event_id": st.sampled_from(["p-1", "q-2", "nonsense", 5]),
        "chunk": st.sampled_from([1, 2, 3, 0, -1, True, "1", None, 1.5]),
        "content": st.sampled_from(["a", "b\n", None, 4, {"$artifact": {"preview": "c"}}, {"$artifact": 3}, ["x"]]),
        "phase": st.sampled_from(["start", "end"]),
    },
)


@given(st.lists(ANY, max_size=12))
def test_whatever_lines_hold_nothing_is_lost(lines: list[Line]) -> None:
    """A line that is no chunk comes out as it is, once; both ways of joining give the same texts."""
    found = list(joined(lines))
    assert [each for each in found if CHUNKS not in each] == [
        line for line in lines if type(line.get("chunk")) is not int or line.get("type") not in ("output", "thinking")
    ]
    joiner = Joiner()
    grown = [each for line in lines if (each := joiner.add(line)) is not None]
    joiner.settle()
    assert sorted(repr(each) for each in grown) == sorted(repr(each) for each in found)


def test_a_text_ends_with_its_span_or_with_another_of_its_kind() -> None:
    """The end of the span, a whole text of the type, and a first chunk all end it; a log line does not."""
    say = lambda number, word: _line("output", "s", "p", content=word, chunk=number)  # noqa: E731
    lines = [
        *(say(1, "one "), _line("log", "s", "p"), say(2, "more")),
        *(say(1, "two"), _line("output", "s", "p", content="whole"), say(1, "three")),
        *(_line("ai_response", "s", "p", phase="end"), say(2, "cut off before")),
    ]
    assert [each["content"] for each in joined(lines) if "content" in each] == [
        "one more",
        "two",
        "whole",
        "three",
        "cut off before",
    ]
