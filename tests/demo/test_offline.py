"""The offline model speaks Anthropic's Messages API, counts what it reads, and says the same to the same words."""

from __future__ import annotations

import json
from typing import Any

import anthropic.types
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from otel_agentlog.demo.job import Pace
from otel_agentlog.demo.offline import NAME, OfflineClient, count_tokens
from otel_agentlog.demo.toolbox import DEFINITIONS
from otel_agentlog.record.providers.read import read_response
from otel_agentlog.record.providers.stream import StreamReader

_EVENTS: TypeAdapter[Any] = TypeAdapter(anthropic.types.RawMessageStreamEvent)
_FILES = [{"path": "README.md", "size_bytes": 10}, *({"path": f"{n}.py", "size_bytes": 50} for n in range(5))]

texts = st.text(max_size=60)
contents = texts | st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts})
    | st.fixed_dictionaries(
        {"type": st.just("tool_use"), "id": texts, "name": st.sampled_from(["ListFiles", "Read"]), "input": st.just({})}
    )
    | st.fixed_dictionaries({"type": st.just("tool_result"), "tool_use_id": texts, "content": texts}),
    max_size=4,
)
conversations = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": contents}), min_size=1)
facts = st.dictionaries(
    st.sampled_from(["files", "todos", "tests", "test_files", "size_bytes", "lines"]), st.integers(0, 10**15), max_size=6
)
questions = st.sampled_from(
    ["Make a plan for this.", "Summarise the tests.", "Weigh the findings.", "Write the report.", "What else?"]
)


def _create(messages: list[dict[str, Any]], *, seed: int = 0, client: OfflineClient | None = None, **more: Any) -> Any:
    client = client or OfflineClient(seed, Pace(slow=False))
    return client.messages.create(model=NAME, messages=messages, max_tokens=100, **more)


def _user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@given(conversations, st.sampled_from([(), DEFINITIONS]), st.integers())
def test_any_conversation_gets_a_whole_message(messages: list[dict[str, Any]], tools: Any, seed: int) -> None:
    """Whatever it is sent, it answers with what Anthropic's own type takes for a Message."""
    message = _create(messages, seed=seed, tools=tools)

    read = anthropic.types.Message.model_validate(message)
    assert read.model == NAME
    assert read.stop_reason == ("tool_use" if any(block.type == "tool_use" for block in read.content) else "end_turn")


@given(questions, facts)
def test_a_stream_says_what_the_message_says(question: str, known: dict[str, int]) -> None:
    """Its events are Anthropic's, and joined they are the message: text, thinking, tokens, id."""
    messages = [_user(f"{question}\n\n```json\n{json.dumps(known)}\n```")]
    events = list(_create(messages, stream=True))
    reader = StreamReader()
    for event in events:
        _EVENTS.validate_python(event)
        reader.add(event)

    assert reader.response() == read_response(_create(messages))


@given(conversations, st.integers())
def test_the_same_words_get_the_same_answer(messages: list[dict[str, Any]], seed: int) -> None:
    """It has no state but what it was sent before, which changes the bill and not the answer."""
    one, other = _create(messages, seed=seed), _create(messages, seed=seed)

    assert one == other


@given(st.lists(texts, min_size=2, max_size=6))
def test_what_was_sent_before_is_read_from_the_cache(said: list[str]) -> None:
    """A conversation that grew by a message pays in full only for that one; the sum of both is all of the request."""
    client = OfflineClient(0, Pace(slow=False))
    messages = [_user(text) for text in said]

    first = _create(messages[:-1], client=client)["usage"]
    second = _create(messages, client=client)["usage"]

    assert first["cache_read_input_tokens"] == 0
    assert second["cache_read_input_tokens"] == first["input_tokens"]
    assert second["input_tokens"] == count_tokens(json.dumps(messages[-1], ensure_ascii=False, sort_keys=True))


def test_tokens_are_words_and_marks() -> None:
    """The rule is as simple as it says."""
    assert count_tokens("def f(x): return x + 1  # naïve 🙂") == 13


def test_it_asks_for_tools_one_after_the_other() -> None:
    """First a listing, then files of that listing, then the index; then it says what it read."""
    messages = [_user("Look around.")]
    asked = []
    results = {
        "ListFiles": {"files": _FILES},
        "Read": {"text": "one\ntwo\n"},
        "ReadIndex": {"todos": 3},
    }
    while (message := _create(messages, tools=DEFINITIONS))["stop_reason"] == "tool_use":
        uses = [block for block in message["content"] if block["type"] == "tool_use"]
        asked.append([(use["name"], use["input"].get("path")) for use in uses])
        answers = [{"type": "tool_result", "tool_use_id": use["id"], "content": json.dumps(results[use["name"]])} for use in uses]
        messages += [{"role": "assistant", "content": message["content"]}, _user(answers)]

    assert asked == [
        [("ListFiles", None)],
        [("Read", "README.md"), ("Read", "0.py"), ("Read", "1.py")],
        [("ReadIndex", None)],
    ]
    assert message["content"][-1]["text"] == "I read 3 files with 6 lines. 3 open TODOs stand in the texts."


def test_another_seed_reads_other_files() -> None:
    """The seed decides between files of one size, and only there."""
    listing = [
        _user("Look around."),
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "ListFiles", "input": {}}]},
        _user([{"type": "tool_result", "tool_use_id": "t", "content": json.dumps({"files": _FILES})}]),
    ]

    chosen = {
        seed: [b["input"]["path"] for b in _create(listing, seed=seed, tools=DEFINITIONS)["content"] if b["type"] == "tool_use"]
        for seed in (0, 1, 5)
    }

    assert chosen == {0: ["README.md", "0.py", "1.py"], 1: ["README.md", "1.py", "2.py"], 5: ["README.md", "0.py", "1.py"]}
