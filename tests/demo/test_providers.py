"""With ``--provider`` the same agent talks to the real client packages, here to a provider on 127.0.0.1."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.demo.models import ProviderUnavailableError, check
from tests.demo.running import Ran, make_project, run_demo
from tests.support.providers.replies import ANTHROPIC_MESSAGE, CHAT_COMPLETION, Json
from tests.support.providers.server import ProviderServer, Refuse, Reply


def _message(text: str, *tools: tuple[str, dict[str, Any]]) -> Reply:
    uses = [{"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": given} for n, (name, given) in enumerate(tools)]
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
    content = [thinking, {"type": "text", "text": text}, *uses]
    return Reply({**ANTHROPIC_MESSAGE, "content": content, "stop_reason": "tool_use" if uses else "end_turn"})


def _completion(text: str, *tools: tuple[str, dict[str, Any]]) -> Reply:
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for n, (name, given) in enumerate(tools)
    ]
    message: Json = {"role": "assistant", "content": text, "refusal": None, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    return Reply({**CHAT_COMPLETION, "choices": [choice]})


def _conversation(say: Any) -> list[Reply]:
    """The provider's responses, call by call; the model requests two tools and one that does not exist."""
    tools = (("ListFiles", {}), ("Read", {"path": "README.md"}), ("Delete", {"path": "README.md"}))
    return [say("A plan."), say("Looking.", *tools), say("Seen."), say("Three tests."), say("All is well 🙂."), say("# A report")]


def _run(tmp_path: Path, provider: str, server: ProviderServer) -> Ran:
    here = {
        "ANTHROPIC_BASE_URL": server.anthropic_url,
        "ANTHROPIC_API_KEY": "test",
        "OPENAI_BASE_URL": server.openai_url,
        "OPENAI_API_KEY": "test",
    }
    return run_demo(tmp_path, make_project(tmp_path / "project"), "--provider", provider, "--json", **here)


def _assert_recorded(ran: Ran, provider: str) -> None:
    final, tools = ran.main.final, ran.main.of_type("tool_result")
    calls = [line["details"] for line in ran.main.of_type("ai_response")]
    assert (ran.code, final["result"]) == (0, "# A report"), ran.err
    assert [(line["content"], line["outcome"]) for line in tools] == [
        *(("ListFiles", "completed"), ("Read", "completed"), ("Delete", "failed")),
        *(("ReadIndex", "completed"), ("compileall", "completed")),
    ]
    assert {call["provider"] for call in calls} == {provider}
    assert {call["price"]["source"] for call in calls} == {"genai-prices"}
    assert math.isclose(final["metrics"]["cost_usd"], sum(call["cost_usd"] for call in calls))
    (streamed,) = [call for call in calls if call.get("stream")]
    assert [part["content"] for part in streamed["output"] if part["type"] == "text"] == ["All is well 🙂."]
    assert "All is well 🙂." in [line["content"] for line in ran.main.of_type("output")]


def test_anthropic(tmp_path: Path) -> None:
    """The tools that the model requests are run, their results sent back, and all of it is recorded."""
    with ProviderServer() as server:
        server.script(*_conversation(_message))
        ran = _run(tmp_path, "anthropic", server)

    _assert_recorded(ran, "anthropic")
    bodies = [request.body for request in server.requests]
    said, results = bodies[2]["messages"][-2:]
    assert [body.get("stream", False) for body in bodies] == [False, False, False, False, True, False]
    assert [block["type"] for block in said["content"]] == ["thinking", "text", "tool_use", "tool_use", "tool_use"]
    assert [block["tool_use_id"] for block in results["content"]] == ["toolu_0", "toolu_1", "toolu_2"]
    refused = results["content"][2]
    assert (refused["content"], refused["is_error"]) == ("no such tool: Delete", True)


def test_openai(tmp_path: Path) -> None:
    """The same loop over chat completions: tool calls and results in OpenAI's words."""
    with ProviderServer() as server:
        server.script(*_conversation(_completion))
        ran = _run(tmp_path, "openai", server)

    _assert_recorded(ran, "openai")
    third = server.requests[2].body
    system, _, said, *results = third["messages"]
    assert (system["role"], said["content"]) == ("system", "Looking.")
    assert [call["id"] for call in said["tool_calls"]] == [message["tool_call_id"] for message in results]
    assert {message["role"] for message in results} == {"tool"}
    assert [tool["function"]["name"] for tool in third["tools"]] == ["ListFiles", "Read", "ReadIndex"]


def test_a_provider_that_refuses_fails_the_task(tmp_path: Path) -> None:
    """The error is on stdout and in the folder, and the exit code is 1."""
    with ProviderServer() as server:
        server.script(Refuse(401, message="the key is wrong"))
        ran = _run(tmp_path, "anthropic", server)

    said = json.loads(ran.out)
    assert (ran.code, said["status"], said["success"]) == (1, "failed", False)
    assert "the key is wrong" in said["error"]
    assert ran.main.final["error"]["type"] == "anthropic.AuthenticationError"


@pytest.mark.parametrize(
    ("provider", "wanted"), [("anthropic", "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"), ("openai", "OPENAI_API_KEY")]
)
def test_a_missing_key_is_named(tmp_path: Path, provider: str, wanted: str) -> None:
    """Before anything is recorded, the message says which variable to set."""
    ran = run_demo(tmp_path, tmp_path, "--provider", provider)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"agentlog demo: --provider {provider} needs a key: set {wanted}\n"
    assert not ran.root.exists()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "openai", None)

    with pytest.raises(ProviderUnavailableError, match="pip install openai"):
        check("openai", {"OPENAI_API_KEY": "test"})
