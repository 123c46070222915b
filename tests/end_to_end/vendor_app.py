"""A program that calls models with the real clients, instrumented by others; run by the tests in a process of its own.

Usage: vendor_app.py ROOT URL LIBRARY WRAPPED
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any

import otel_agentlog as agentlog


def instrument(library: str) -> None:
    if library in ("openai-genai", "openai-both"):
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
    if library in ("openai-openinference", "openai-both"):
        from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInferenceInstrumentor

        OpenInferenceInstrumentor().instrument()
    if library == "anthropic-openinference":
        from openinference.instrumentation.anthropic import AnthropicInstrumentor

        AnthropicInstrumentor().instrument()
    if library == "requests":
        from opentelemetry.instrumentation.requests import RequestsInstrumentor

        RequestsInstrumentor().instrument()


def call_anthropic(url: str) -> Any:
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key="test", max_retries=0)
    return client.messages.create(model="claude-test", max_tokens=50, messages=[{"role": "user", "content": "hi"}])


def call_openai(url: str) -> Any:
    import openai

    client = openai.OpenAI(base_url=url, api_key="test", max_retries=0)
    return client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "hi"}])


def call_plainly(url: str) -> Any:
    import requests

    body = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]}
    return requests.post(f"{url}/chat/completions", json=body, timeout=20).json()


def main(root: str, url: str, library: str, wrapped: str) -> None:
    agentlog.configure(service_name="vendor", directory=root, log_directory=root + "-logs", console="off", capture_logging=False)
    instrument(library)
    provider = library.partition("-")[0] if library != "requests" else "openai"
    call = {"anthropic": call_anthropic, "openai": call_openai}[provider] if library != "requests" else call_plainly
    with agentlog.task("job", task_id="t"), agentlog.step("ask"):
        around: Any = agentlog.ai_call("model", provider=provider) if wrapped == "wrapped" else nullcontext()
        with around as ai:
            response = call(url)
            if ai is not None and library == "requests":
                ai.record(response)


if __name__ == "__main__":
    main(*sys.argv[1:])
