"""What a user is told: fixed texts and the id, whatever the exception says."""

from __future__ import annotations

import logging
import re
import sqlite3
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.error_handling.user_messages import USER_ERROR_TYPES
from otel_agentlog.testing import MemorySink, recording

ISSUED = ("timeout", "claude_error", "parse_error", "config_error", "permission_error", "session_error", "lock_error")
HOSTILE = [
    "Traceback (most recent call last):\n  File '/srv/app/secret.py', line 3, in <module>",
    "psql: FATAL: password authentication failed for user postgres at 10.0.0.5",
    "session 550e8400-e29b-41d4-a716-446655440000 in /home/ada/.claude/sessions",
    "sk-ant-api03-abcdefghijklmnop",
    "**bold** `code` [link](javascript:alert(1)) <script>alert(1)</script>",
    "{0} {error} %s %(x)s ${HOME} {{7*7}}",
    "\x1b[31mred\x1b[0m \u202e evil \ud800",
    "abc12345",
]
texts = st.one_of(st.text(max_size=200), st.sampled_from(HOSTILE))
errors = st.sampled_from(
    [ValueError, KeyError, OSError, TimeoutError, PermissionError, sqlite3.OperationalError, agentlog.DatabaseError, Exception]
)


def outline(message: str) -> str:
    """A message without its id."""
    return re.sub(r"`[0-9a-z]{8}`", "`id`", message)


FIXED = {outline(agentlog.format_error_for_user("", kind, "abcdefgh")) for kind in (*USER_ERROR_TYPES, "other")}
FIXED |= {agentlog.format_error_for_user("", kind) for kind in (*USER_ERROR_TYPES, "other")}


@pytest.mark.parametrize("kind", ISSUED)
def test_each_type_has_a_text_of_its_own(kind: str) -> None:
    """Markdown: a title, what happened, what to do, the id."""
    message = agentlog.format_error_for_user(ValueError("boom"), kind, "abc12345")

    assert kind in USER_ERROR_TYPES
    assert re.fullmatch(r"\*\*.+\*\*\n\n.+\n\nWhat you can do:\n(- .+\n){2,}\nError id: `abc12345`", message)
    assert message != agentlog.format_error_for_user(ValueError("boom"), "other", "abc12345")


@settings(deadline=None)
@given(errors, texts, st.one_of(st.none(), texts, st.sampled_from(USER_ERROR_TYPES)), st.one_of(st.none(), texts))
@example(ValueError, "boom", "/etc/passwd", "../../etc")
@example(ValueError, "boom", "timeout", "abc1234\n")
def test_nothing_of_the_error_is_in_the_message(
    kind: type[Exception], said: str, error_type: str | None, identity: str | None
) -> None:
    """Each message is one of the fixed texts, with an id only where the id has the form of one."""
    try:
        raise kind(said) from RuntimeError(said)
    except Exception as error:
        told = agentlog.format_error_for_user(error, error_type, identity)
    assert outline(told) in FIXED
    assert outline(agentlog.format_error_for_user(said, error_type, identity)) in FIXED
    found = re.findall(r"Error id: `(.*)`", told)
    assert found == ([identity] if identity and re.fullmatch("[0-9a-z]{8}", identity) else [])


@settings(deadline=None)
@given(errors, texts, texts, st.dictionaries(st.text(max_size=20), texts, max_size=3))
def test_nothing_of_the_context_is_in_the_message_either(
    kind: type[Exception], said: str, error_type: str, context: dict[str, Any]
) -> None:
    """`log_and_format_error` records all of it, and tells none of it."""
    with recording() as recorded:
        identity, message = agentlog.log_and_format_error(kind(said), error_type, context=context)

    assert outline(message) in FIXED
    assert f"`{identity}`" in message
    (line,) = recorded.of(type="log")
    assert line["exception"]["error_id"] == identity == line["details"]["error_id"]


@pytest.mark.parametrize("value", [None, 7, b"x", [], object()])
def test_values_of_other_kinds_are_survived(value: Any) -> None:
    """Whatever stands where an error, a type or an id is expected."""
    assert outline(agentlog.format_error_for_user(value, value, value)) in FIXED


def test_without_a_type_the_exception_decides() -> None:
    """By its category and kind."""
    kinds = {
        "timeout": TimeoutError(),
        "permission_error": PermissionError(13, "no"),
        "config_error": agentlog.ConfigurationError("no key"),
        "lock_error": sqlite3.OperationalError("database is locked"),
        "resource_error": MemoryError(),
        "dependency_error": ConnectionRefusedError(),
        "other": Exception(),
    }
    for kind, error in kinds.items():
        assert agentlog.format_error_for_user(error) == agentlog.format_error_for_user("", kind)


def test_the_id_is_the_same_everywhere(recorded: MemorySink) -> None:
    """In the message, the log line, the step that failed and on the exception."""
    with agentlog.task("t"):
        try:
            with agentlog.step("s"):
                raise ValueError("boom")
        except ValueError as error:
            caught = error
            identity, message = agentlog.log_and_format_error(error, "parse_error", context={"attempt": 2})

    assert agentlog.error_id(caught) == identity

    (step,) = recorded.of(action="step_execution_failed")
    (line,) = recorded.of(type="log")
    assert step["exception"]["error_id"] == line["exception"]["error_id"] == identity
    assert line["details"]["context"] == {"attempt": 2}
    assert f"Error id: `{identity}`" in message


def test_a_message_is_logged_as_an_error(recorded: MemorySink) -> None:
    """A text in place of an exception."""
    identity, _ = agentlog.log_and_format_error("the queue is gone", "session_error")

    (line,) = recorded.of(type="log")
    assert line["exception"]["message"] == "the queue is gone"
    assert line["exception"]["error_id"] == identity


def test_any_logger_will_do(recorded: MemorySink, caplog: pytest.LogCaptureFixture) -> None:
    """One of ours, or one of stdlib's, which gets the id too."""
    agentlog.log_and_format_error(ValueError("a"), "timeout", logger=agentlog.get_logger("mine", "web"))
    identity, _ = agentlog.log_and_format_error(ValueError("b"), "timeout", logger=logging.getLogger("std"))

    assert [line["component"] for line in recorded.of(logger="mine")] == ["web"]
    (record,) = caplog.records
    assert record.error_id == identity  # type: ignore[attr-defined]


def test_a_logger_that_raises_costs_the_user_no_answer() -> None:
    """The user gets an id and a message all the same."""

    class Broken(logging.Logger):
        def error(self, *args: Any, **kwargs: Any) -> None:
            raise OSError("disk full")

    identity, message = agentlog.log_and_format_error(ValueError("a"), "timeout", logger=Broken("broken"))

    assert f"`{identity}`" in message
