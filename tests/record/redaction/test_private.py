"""Privacy: what is left out, what stays, and that a line keeps its form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.record.recorder import Cleaning
from otel_agentlog.record.redaction.private import PRIVATE, Privacy, is_content, is_personal
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner


@pytest.mark.parametrize(
    "name",
    [
        *("prompt", "user_prompt", "message_content", "userMessage", "messages", "gen_ai.input.messages", "input.value"),
        *("gen_ai.prompt.0.content", "llm.output_messages.0.message.content", "tool.arguments", "response_text", "query", "body"),
        *("gen_ai.system_instructions", "db.query.text", "last_answer", "stdout", "argv", "output_json"),
    ],
)
def test_names_of_what_was_said(name: str) -> None:
    """By their last word, however they are written."""
    assert is_content(name)


@pytest.mark.parametrize(
    "name",
    [
        *("user", "user_name", "userName", "user.full_name", "user_id", "enduser.id", "author", "authorId", "display_name"),
        *("email", "contact_email", "phone_number", "ip_address", "home_address", "client.address", "date_of_birth"),
        *("requested_by", "current_user", "nickname", "process.owner", "USERNAME"),
    ],
)
def test_names_of_people(name: str) -> None:
    """Who somebody is, and where."""
    assert is_personal(name)


@pytest.mark.parametrize(
    "name",
    [
        *("message_length", "message_id", "channel_id", "session_id", "task_id", "input_tokens", "output_tokens", "content_type"),
        *("error_message", "status_message", "exit_status", "duration_ms", "cost_usd", "response_time", "files", "model"),
        *(
            "file_name",
            "tool_name",
            "service.name",
            "host.name",
            "memory_address",
            "db.user",
            "query_count",
            "user_count",
            "name",
        ),
        *("prompt_tokens", "response_id", "result_count", "commit_message", "stdout_bytes", "arguments_count", "", "-", "1"),
    ],
)
def test_names_of_neither(name: str) -> None:
    """Ids, lengths, durations, counts and costs stay, and so do the messages of errors."""
    assert not is_content(name)
    assert not is_personal(name)


def test_the_form_of_a_value_stays() -> None:
    """Texts and somebody's numbers are marked; counts, truth values and the shape stay."""
    privacy = Privacy()
    line = privacy.line(
        {
            "type": "log",
            "message": "Ann said: hello there",
            "details": {
                "messages": [{"role": "user", "content": "hello there", "tokens": 3}],
                "user": {"id": 7, "name": "Ann", "active": True},
                "rows": [1, 2],
                "tags": ["user:Ann", "team:x", "plain"],
            },
        }
    )

    assert line["message"] == f"{PRIVATE} said: {PRIVATE}"
    assert line["details"] == {
        "messages": [{"role": "user", "content": PRIVATE, "tokens": 3}],
        "user": {"id": PRIVATE, "name": PRIVATE, "active": True},
        "rows": [1, 2],
        "tags": [f"user:{PRIVATE}", "team:x", "plain"],
    }
    assert privacy.left_out == 4


@pytest.mark.parametrize(
    ("details", "left"),
    [
        ({"j": '{"prompt": "hello there", "n": 1}'}, {"j": f'{{"prompt":"{PRIVATE}","n":1}}'}),
        ({"j": '{"n": 1}', "k": "{no json"}, {"j": '{"n": 1}', "k": "{no json"}),
        ({"pairs": [["content", "hello there"], ["files", "3"]]}, {"pairs": [["content", PRIVATE], ["files", "3"]]}),
        ({"p": ["user", 7], "tags": ["user:Ann", "x"]}, {"p": ["user", PRIVATE], "tags": [f"user:{PRIVATE}", "x"]}),
        (
            {"x": {"Prompt": "hello there", "y": [{"chatHistory": ["hello there"]}]}},
            {"x": {"Prompt": PRIVATE, "y": [{"chatHistory": [PRIVATE]}]}},
        ),
    ],
)
def test_names_are_found_in_pairs_and_in_json(details: dict[str, Any], left: dict[str, Any]) -> None:
    """A name may stand in a pair or within a text that is JSON."""
    assert Privacy().line({"type": "log", "details": details})["details"] == left


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("{'prompt': 'hello there', 'n': 1}", f"{{'prompt': {PRIVATE}, 'n': 1}}"),
        ('got {"user": "Ann \\"A\\"", "rows": 2}', f'got {{"user": {PRIVATE}, "rows": 2}}'),
        ("content='it\\'s so' files='3'", f"content={PRIVATE} files='3'"),
        ("error_message='kept'", "error_message='kept'"),
        ("prompt is 'open", "prompt is 'open"),
    ],
)
def test_what_stands_quoted_behind_a_private_name_leaves_the_message(message: str, left: str) -> None:
    """Messages often have the text of an object in them."""
    assert Privacy().line({"type": "log", "message": message})["message"] == left


def test_a_system_prompt_is_content_only_of_a_request() -> None:
    """``system`` is a word of many meanings."""
    details = {"system": "hello there", "parameters": {"system": "hello there", "temperature": 1}}
    request = Privacy().line({"type": "ai_request", "details": details})

    assert request["details"] == {"system": PRIVATE, "parameters": {"system": PRIVATE, "temperature": 1}}
    assert Privacy().line({"type": "log", "details": {"system": "linux"}})["details"] == {"system": "linux"}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
_KEYS = st.sampled_from(["type", "message", "content", "details", "exception", "stage", "tags", "user", "prompt", "attributes"])


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    return [_shape(item) for item in value] if isinstance(value, list) else None


@settings(deadline=None)
@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_any_line_keeps_its_shape(line: dict[str, Any]) -> None:
    """The same keys and lengths, JSON, and nothing more to leave out a second time but the marks themselves."""
    once = Privacy().line(line)

    assert _shape(once) == _shape(line)
    json.dumps(once)
    assert _shape(Privacy().line(once)) == _shape(once)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), _VALUES, max_size=4))
def test_what_is_under_a_private_name_is_gone(value: dict[str, Any]) -> None:
    """No text below ``prompt`` is left, however deep."""

    def texts(found: Any) -> set[str]:
        if isinstance(found, dict):
            return set().union(*map(texts, found.values()))
        return set().union(*map(texts, found)) if isinstance(found, list) else {found} if isinstance(found, str) else set()

    line = Privacy().line({"type": "log", "details": {"prompt": value}})

    assert texts(line["details"]) <= {PRIVATE, ""}


def test_it_fails_closed() -> None:
    """Where the pass itself fails, the line keeps only what cannot be private."""
    failed: list[str] = []
    cleaning = Cleaning(Cleaner(Redactor()), private=True, failed=lambda where, error: failed.append(where))
    deep: Any = "said"
    for _ in range(100_000):
        deep = [deep]
    envelope = cleaning.line({"timestamp": "t", "type": "log", "level": "INFO", "message": "m", "details": {"prompt": deep}})

    assert "said" not in json.dumps(envelope.line)


def test_counts_are_in_the_receipt(tmp_path: Any) -> None:
    """What was left out counts as redacted."""
    agentlog.configure(directory=tmp_path / "t", log_directory=tmp_path / "l", console="off", privacy=True)
    try:
        with agentlog.task("Answer", input={"message": "hello there"}):
            agentlog.get_logger("x").info("received", prompt="hello there")
        assert agentlog.flush().redacted >= 2
    finally:
        agentlog.shutdown()
    text = "".join(path.read_text() for path in tmp_path.rglob("*.json*"))
    assert "hello there" not in text
    assert PRIVATE in text
