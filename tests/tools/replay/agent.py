"""An agent with the real clients: Anthropic's and OpenAI's, plain, streaming, async, at once, with tools and a sub-task.

``python agent.py PARTS`` runs some of its steps, by their names. Variables change what it does: ``PROMPT`` is what it is asked in
the step ``stream``, ``EXTRA=1`` has one more AI call.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import nullcontext
from typing import Any

import otel_agentlog as agentlog

CLAUDE, GPT = "claude-opus-4-6", "gpt-5"
TOOLS: Any = [{"name": "Read", "description": "Reads a file.", "input_schema": {"type": "object"}}]


@agentlog.tool("Read")
def read(path: str, limit: int | None = None, lines: list[int] | None = None) -> str:
    """What the model asks for."""
    print("tool Read runs")
    return f"{os.environ.get('CONTENT', 'text')} of {path}"


def converse(prompt: str, *, stream: bool) -> str:
    """Two turns with Claude, between them the tools that it asks for."""
    import anthropic

    client = anthropic.Anthropic()
    messages: Any = [{"role": "user", "content": prompt}]
    for _ in range(2):
        with agentlog.ai_call(CLAUDE, provider="anthropic", messages=messages, tools=TOOLS, stream=stream) as call:
            if stream:
                with client.messages.stream(model=CLAUDE, max_tokens=100, messages=messages, tools=TOOLS) as events:
                    for _ in call.stream(events):
                        pass
                    answer = events.get_final_message()
            else:
                answer = client.messages.create(model=CLAUDE, max_tokens=100, messages=messages, tools=TOOLS)
                call.record(answer)
        used = [block for block in answer.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": block.id, "content": read(**block.input)} for block in used]
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results or "Go on."}]
    return "".join(block.text for block in answer.content if block.type == "text")


async def complete(prompt: str, *, stream: bool) -> str:
    """A chat completion and a response, async."""
    import openai

    client = openai.AsyncOpenAI()
    messages: Any = [{"role": "system", "content": "Be short."}, {"role": "user", "content": prompt}]
    with agentlog.ai_call(GPT, provider="openai", messages=messages, stream=stream) as call:
        text = ""
        if stream:
            options: Any = {"stream": True, "stream_options": {"include_usage": True}}
            chunks = await client.chat.completions.create(model=GPT, messages=messages, **options)
            async for chunk in call.stream(chunks):
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        else:
            completion = await client.chat.completions.create(model=GPT, messages=messages)
            call.record(completion)
            text = completion.choices[0].message.content or ""
    with agentlog.ai_call(GPT, provider="openai", messages=prompt, stream=stream) as call:
        if stream:
            async with client.responses.stream(model=GPT, input=prompt) as events:
                async for _ in call.stream(events):
                    pass
                response: Any = await events.get_final_response()
        else:
            response = await client.responses.create(model=GPT, input=prompt)
            call.record(response)
    return text + response.output_text


async def at_once() -> str:
    """Three questions at the same time."""
    import openai

    client = openai.AsyncOpenAI()

    async def ask(number: int) -> str:
        messages: Any = [{"role": "user", "content": f"Question {number}"}]
        with agentlog.ai_call(GPT, provider="openai", messages=messages) as call:
            completion = await client.chat.completions.create(model=GPT, messages=messages)
            call.record(completion)
        return completion.choices[0].message.content or ""

    return "|".join(await asyncio.gather(*map(ask, range(3))))


def refused() -> str:
    """A request that the provider refuses."""
    import anthropic

    try:
        with agentlog.ai_call(CLAUDE, provider="anthropic", messages="Be refused.") as call:
            messages: Any = [{"role": "user", "content": "Be refused."}]
            call.record(anthropic.Anthropic(max_retries=0).messages.create(model=CLAUDE, max_tokens=9, messages=messages))
    except anthropic.RateLimitError as error:
        return f"refused: {error}"
    return "not refused"


def main() -> None:
    """Run the steps."""
    agentlog.configure(service_name="agent", console="off")
    prompt = os.environ.get("PROMPT", "Read a.py.")
    steps = {
        "plan": lambda: converse("Plan.", stream=False),
        "stream": lambda: converse(prompt, stream=True),
        "openai": lambda: asyncio.run(complete("Read b.py.", stream=False)),
        "openai stream": lambda: asyncio.run(complete("Read c.py.", stream=True)),
        "at once": lambda: asyncio.run(at_once()),
        "refused": refused,
    }
    with agentlog.task("Review", input=sys.argv[1:]) as task:
        for name in sys.argv[1:]:
            inside = agentlog.task(f"Do {name}") if name == "openai" else nullcontext()
            with agentlog.step(name), inside:
                task.output(steps[name]())
        if os.environ.get("EXTRA"):
            converse("More.", stream=False)
        task.result = "done"


if __name__ == "__main__":
    main()
