"""claude-agent-sdk, the real one, with a Claude Code that says what it is told to: ``claude_program.py ROOT CLI``."""

from __future__ import annotations

import asyncio
import sys

import claude_agent_sdk
from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient

import otel_agentlog as agentlog
from otel_agentlog.integrations import claude_agent


async def queried(options: ClaudeAgentOptions) -> None:
    kinds = [type(message).__name__ async for message in claude_agent.query(prompt="do it", options=options)]
    assert kinds[0] == "SystemMessage", kinds
    assert kinds[-1] == "ResultMessage", kinds


async def two_turns(options: ClaudeAgentOptions) -> None:
    with agentlog.task("client", task_id="client"):
        async with ClaudeSDKClient(options) as client:
            claude_agent.instrument_client(claude_agent.instrument_client(client))  # twice is once
            for prompt in ("first", "second"):
                await client.query(prompt)
                async for _ in client.receive_response():
                    assert agentlog.current_task() == "client"


async def recorded_by_hand(options: ClaudeAgentOptions) -> None:
    with agentlog.task("by hand", task_id="by-hand"), agentlog.ai_call("claude-sonnet-4-5", provider="anthropic") as call:
        async for message in claude_agent_sdk.query(prompt="x", options=options):
            call.record(message)


async def left_early(options: ClaudeAgentOptions) -> None:
    with agentlog.task("left", task_id="left"):
        messages = claude_agent.query(prompt="x", options=options)
        async for message in messages:
            if type(message).__name__ == "UserMessage":
                break
        await messages.aclose()  # type: ignore[attr-defined]  # a generator


async def main(options: ClaudeAgentOptions) -> None:
    for situation in (queried, two_turns, recorded_by_hand, left_early):
        await situation(options)


if __name__ == "__main__":
    agentlog.configure(
        service_name="claude", directory=sys.argv[1], log_directory=sys.argv[1] + "-logs", console="off", capture_logging=False
    )
    asyncio.run(main(ClaudeAgentOptions(cli_path=sys.argv[2])))
    agentlog.shutdown()
