"""A small agent: asks a model what to read, reads it, and is done. It is what the tests beside it are about."""

from __future__ import annotations

from pathlib import Path

from opentelemetry import trace

import otel_agentlog as agentlog

log = agentlog.get_logger(__name__, agentlog.Component.AGENT)


def ask(prompt: str) -> str:
    """What a client of a provider would do, offline."""
    with agentlog.ai_call("gpt-4o", provider="openai", messages=[{"role": "user", "content": prompt}]) as call:
        call.usage(input_tokens=900, output_tokens=40)
    # Another library of the program, which has instrumentation of its own.
    with trace.get_tracer("http-client").start_as_current_span("GET /files"):
        return "README.md"


def review(folder: Path, prompt: str, token: str = "") -> str:
    """Review the file that the model names; ``token`` is what a tool needs and nobody may see."""
    with agentlog.task("Review", input={"prompt": prompt}, agent="reviewer") as task:
        with agentlog.step("plan"):
            name = ask(prompt)
        with agentlog.tool("Read", arguments={"path": name, "api_token": token}) as run:
            run.result = (folder / name).read_text()
        log.info("file read", size=len(run.result))
        task.result = "approved"
    return "approved"
