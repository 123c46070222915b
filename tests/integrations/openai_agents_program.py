"""What people do with openai-agents, against a local server: ``openai_agents_program.py ROOT``; a folder for each."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import agents
from agents import Agent, GuardrailFunctionOutput, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool
from openai import AsyncOpenAI, BadRequestError

import otel_agentlog as agentlog
from otel_agentlog.integrations.mcp import instrument_session
from otel_agentlog.integrations.openai_agents import AgentlogTracingProcessor
from tests.support.providers.replies import API_RESPONSE, CHAT_COMPLETION, Json
from tests.support.providers.server import Hang, ProviderServer, Refuse, Reply

MCP_SERVER = Path(__file__).with_name("mcp_server.py")


class Others(agents.TracingProcessor):
    """Somebody else's processor, which was there first."""

    seen = 0

    def on_trace_start(self, trace: Any) -> None: ...

    def on_trace_end(self, trace: Any) -> None: ...

    def on_span_start(self, span: Any) -> None: ...

    def on_span_end(self, span: Any) -> None:
        self.seen += 1

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...


def written(text: str, response_id: str) -> Reply:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    return answer(item, response_id, 1100, 30)


def calls(name: str, arguments: Json, response_id: str) -> Reply:
    call = {"id": "fc_1", "type": "function_call", "call_id": f"call_{response_id}", "name": name, "status": "completed"}
    return answer({**call, "arguments": json.dumps(arguments)}, response_id, 1000, 20)


def answer(item: Json, response_id: str, input_tokens: int, output_tokens: int) -> Reply:
    usage = {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 7},
        "total_tokens": input_tokens + output_tokens,
    }
    return Reply({**API_RESPONSE, "id": response_id, "output": [item], "usage": usage})


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    agentlog.get_logger("tool").info("looking", city=city)
    if city == "nope":
        raise ValueError("no such city")
    return f"sunny in {city}"


@agents.input_guardrail(run_in_parallel=False)
def no_secrets(context: Any, agent: Any, input: Any) -> GuardrailFunctionOutput:
    """Trips always."""
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)


class Program:
    """The situations; each runs in a trace of its own, whose name is that of the situation."""

    def __init__(self, server: ProviderServer) -> None:
        self.server = server
        self.client = AsyncOpenAI(base_url=server.openai_url, api_key="test", max_retries=0)
        self.model = OpenAIResponsesModel("gpt-5", self.client)
        self.agent = Agent(name="planner", instructions="Be good.", model=self.model, tools=[get_weather])

    def script_tool(self, prefix: str, city: str = "Rome") -> None:
        self.server.script(calls("get_weather", {"city": city}, f"{prefix}1"), written(f"Sunny in {city}", f"{prefix}2"))

    async def plain(self) -> None:
        self.script_tool("p")
        with agents.trace("plain", group_id="chat-7", metadata={"tenant": "acme"}):
            await Runner.run(self.agent, "weather?")

    async def streamed(self) -> None:
        helper = Agent(name="helper", model=self.model)
        agent = self.agent.clone(handoffs=[helper])
        self.server.script(
            calls("get_weather", {"city": "nope"}, "s1"), calls("transfer_to_helper", {}, "s2"), written("done", "s3")
        )
        with agentlog.task("streamed", task_id="streamed"):
            result = Runner.run_streamed(agent, "weather?")
            async for _ in result.stream_events():
                pass

    async def refused(self) -> None:
        self.server.script(Refuse(400))
        with suppress(BadRequestError), agents.trace("refused"):
            await Runner.run(self.agent, "x")

    async def parallel(self) -> None:
        async def one(number: int) -> None:
            with agents.trace(f"parallel {number}"):
                await Runner.run(self.agent, f"number {number}")

        self.server.script(*(written(f"answer {number}", f"r{number}") for number in range(4)))
        await asyncio.gather(*(one(number) for number in range(4)))

    async def guarded(self) -> None:
        agent = self.agent.clone(input_guardrails=[no_secrets])
        with suppress(agents.InputGuardrailTripwireTriggered), agents.trace("guarded"):
            await Runner.run(agent, "secret")

    async def chat(self) -> None:
        message = {"role": "assistant", "content": "hello"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        self.server.script(Reply({**CHAT_COMPLETION, "choices": choices}))
        model = OpenAIChatCompletionsModel("gpt-4o", self.client)
        with agents.trace("chat"):
            await Runner.run(Agent(name="chatty", model=model), "hi")

    async def instrumented(self) -> None:
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
        self.script_tool("i")
        with agents.trace("instrumented"):
            await Runner.run(self.agent, "weather?")
        OpenAIInstrumentor().uninstrument()

    async def wrapped(self) -> None:
        self.script_tool("w")
        with agentlog.task("wrapped", task_id="wrapped"), agentlog.ai_call("gpt-5", provider="openai") as call:
            call.record(await Runner.run(self.agent, "weather?"))

    async def with_mcp(self) -> None:
        from agents.mcp import MCPServerStdio

        params: Any = {"command": sys.executable, "args": [str(MCP_SERVER), agentlog_root, "stdio"], "env": dict(os.environ)}
        async with MCPServerStdio(params=params, client_session_timeout_seconds=60) as server:
            instrument_session(server.session)
            self.script_tool("m")
            agent = Agent(name="planner", model=self.model, mcp_servers=[server])
            with agents.trace("with mcp"):
                await Runner.run(agent, "weather?")

    async def cancelled(self) -> None:
        self.server.script(Hang())
        task = asyncio.ensure_future(self.hanging())
        while not any(request.body.get("input") == [{"content": "hang", "role": "user"}] for request in self.server.requests):
            await asyncio.sleep(0.02)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return
        raise AssertionError("the cancellation was swallowed")

    async def hanging(self) -> None:
        with agents.trace("cancelled"):
            await Runner.run(self.agent, "hang")

    async def custom(self) -> None:
        with agents.trace("custom") as trace:
            with agents.custom_span("outer", {"rows": [1, 2], "big": "x" * 300_000}) as outer:
                detached = agents.custom_span("detached", parent=outer)
                detached.start()
            with agents.custom_span("after"), agents.custom_span("beside", parent=outer):
                pass
            detached.finish()  # after its parent
            agents.custom_span("never", parent=trace).start()


async def main(root: str) -> None:
    others = Others()
    agents.set_trace_processors([others])
    agents.add_trace_processor(AgentlogTracingProcessor())
    with ProviderServer() as server:
        program = Program(server)
        for situation in (
            program.plain,
            program.streamed,
            program.refused,
            program.parallel,
            program.guarded,
            program.chat,
            program.instrumented,
            program.wrapped,
            program.with_mcp,
            program.cancelled,
            program.custom,
        ):
            await situation()
    assert others.seen > 30, others.seen
    agents.tracing.get_trace_provider().shutdown()


if __name__ == "__main__":
    agentlog_root = sys.argv[1]
    agentlog.configure(
        service_name="agents",
        directory=agentlog_root,
        log_directory=agentlog_root + "-logs",
        console="off",
        capture_logging=False,
    )
    asyncio.run(main(agentlog_root))
    agentlog.shutdown()
