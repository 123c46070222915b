"""Programs that use real libraries against the local provider; each runs in the environment that has its packages.

    python -m benchmarks.ecosystem.programs NAME ROOT URL

Nothing of a library is imported before its program runs: `__main__.py` reads the table of them where none is installed.
Each ends with one line of JSON: how many tools it ran, and how many requests it expects to fail.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import otel_agentlog as agentlog

REFUSED = "a model that nobody has"
GPT, CLAUDE, GEMINI, EMBEDDING = "gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash", "text-embedding-3-small"
HI: list[Any] = [{"role": "user", "content": "hi"}]

_tools_run = 0


@dataclass(frozen=True)
class Program:
    """A situation that is tried."""

    name: str
    what: str
    packages: tuple[str, ...]
    run: Callable[[str], None]
    spans: tuple[str, ...] = ()
    """Names of the library's spans that have to be in the folder."""
    own_configure: bool = False
    """Whether it calls `agentlog.configure` itself."""
    tokens: bool = True
    """Whether the library tells its tokens to anybody."""


PROGRAMS: dict[str, Program] = {}


def program(name: str, what: str, *packages: str, **more: Any) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    def add(run: Callable[[str], None]) -> Callable[[str], None]:
        PROGRAMS[name] = Program(name, what, packages, run, **more)
        return run

    return add


def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: its name
    """
    global _tools_run
    _tools_run += 1
    return f"{city}: sunny"


def instrument(*paths: str) -> None:
    """Switch instrumentors on, each given as ``module:Class``."""
    for path in paths:
        module, _, name = path.partition(":")
        getattr(import_module(module), name)().instrument()


OI_ANTHROPIC = "openinference.instrumentation.anthropic:AnthropicInstrumentor"
TL_ANTHROPIC = "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor"
GENAI_ANTHROPIC = "opentelemetry.instrumentation.genai.anthropic:AnthropicInstrumentor"
OI_OPENAI = "openinference.instrumentation.openai:OpenAIInstrumentor"
TL_OPENAI = "opentelemetry.instrumentation.openai:OpenAIInstrumentor"
GENAI_OPENAI = "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor"
OI_LANGCHAIN = "openinference.instrumentation.langchain:LangChainInstrumentor"
TL_LANGCHAIN = "opentelemetry.instrumentation.langchain:LangchainInstrumentor"
GENAI_LANGCHAIN = "opentelemetry.instrumentation.genai.langchain:LangChainInstrumentor"
OI_AGENTS = "openinference.instrumentation.openai_agents:OpenAIAgentsInstrumentor"
TL_AGENTS = "opentelemetry.instrumentation.openai_agents:OpenAIAgentsInstrumentor"
GENAI_AGENTS = "opentelemetry.instrumentation.genai.openai_agents:OpenAIAgentsInstrumentor"

_ANTHROPIC = (
    "anthropic",
    "opentelemetry-instrumentation-anthropic",
    "opentelemetry-instrumentation-genai-anthropic",
    "openinference-instrumentation-anthropic",
)
_OPENAI = (
    "openai",
    "opentelemetry-instrumentation-openai",
    "opentelemetry-instrumentation-genai-openai",
    "openinference-instrumentation-openai",
    "opentelemetry-distro",
)
_LANGCHAIN = (
    "langchain",
    "langchain-openai",
    "langgraph",
    "openinference-instrumentation-langchain",
    "opentelemetry-instrumentation-langchain",
    "opentelemetry-instrumentation-genai-langchain",
    "opentelemetry-instrumentation-genai-openai",
    "openinference-instrumentation-openai",
)
_AGENTS = (
    "openai-agents",
    "openinference-instrumentation-openai-agents",
    "opentelemetry-instrumentation-openai-agents",
    "opentelemetry-instrumentation-genai-openai-agents",
    "opentelemetry-instrumentation-genai-openai",
    "openinference-instrumentation-openai",
)
_PYDANTIC = ("pydantic-ai-slim[openai,anthropic]", "openinference-instrumentation-openai")
_LITELLM = ("litellm", "openinference-instrumentation-litellm", "opentelemetry-exporter-otlp")


# -- anthropic --------------------------------------------------------------------------------------------------------------


def _claude(url: str) -> None:
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key="k", max_retries=0)
    given: Any = {"max_tokens": 9, "messages": HI}
    client.messages.create(model=CLAUDE, **given)
    for _ in client.messages.create(model=CLAUDE, stream=True, **given):
        pass
    with client.messages.create(model=CLAUDE, stream=True, **given) as events:
        for _ in events:
            pass
    with client.messages.stream(model=CLAUDE, **given) as stream:
        stream.get_final_message()
    with suppress(anthropic.BadRequestError):
        client.messages.create(model=REFUSED, **given)

    async def more() -> None:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
            await client.messages.create(model=CLAUDE, **given)
            async for _ in await client.messages.create(model=CLAUDE, stream=True, **given):
                pass

    asyncio.run(more())


def _claude_wrapped(url: str) -> None:
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key="k", max_retries=0)
    given: Any = {"max_tokens": 9, "messages": HI, "model": CLAUDE}
    with agentlog.ai_call(CLAUDE, provider="anthropic") as call:
        call.record(client.messages.create(**given))
    with agentlog.ai_call(CLAUDE, provider="anthropic") as call:
        for _ in call.stream(client.messages.create(stream=True, **given)):
            pass

    async def more() -> None:
        client = anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0)
        async with client, agentlog.ai_call(CLAUDE, provider="anthropic") as call:
            async for _ in call.stream(await client.messages.create(stream=True, **given)):
                pass

    asyncio.run(more())


for _name, _on in {
    "native": (),
    "traceloop": (TL_ANTHROPIC,),
    "genai": (GENAI_ANTHROPIC,),
    "openinference": (OI_ANTHROPIC,),
}.items():
    for _how, _do in {"bare": _claude, "in our ai_call": _claude_wrapped}.items():
        program(f"anthropic-{_name}{'' if _how == 'bare' else '-wrapped'}", f"anthropic, {_name}, {_how}", *_ANTHROPIC)(
            lambda url, on=_on, do=_do: (instrument(*on), do(url))[1]  # type: ignore[misc]
        )
program("anthropic-all", "anthropic, three instrumentors at once", *_ANTHROPIC)(
    lambda url: (instrument(TL_ANTHROPIC, GENAI_ANTHROPIC, OI_ANTHROPIC), _claude(url))[1]  # type: ignore[func-returns-value]
)


# -- openai -----------------------------------------------------------------------------------------------------------------


def _gpt(url: str) -> None:
    import openai

    client = openai.OpenAI(base_url=url + "/v1", api_key="k", max_retries=0)
    client.chat.completions.create(model=GPT, messages=HI)
    for _ in client.chat.completions.create(model=GPT, messages=HI, stream=True, stream_options={"include_usage": True}):
        pass
    client.responses.create(model=GPT, input="hi")
    for _ in client.responses.create(model=GPT, input="hi", stream=True):
        pass
    client.embeddings.create(model=EMBEDDING, input="hi")
    with suppress(openai.BadRequestError):
        client.chat.completions.create(model=REFUSED, messages=HI)

    async def more() -> None:
        async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="k", max_retries=0) as client:
            await client.chat.completions.create(model=GPT, messages=HI)

    asyncio.run(more())


def _gpt_wrapped(url: str) -> None:
    import openai

    client = openai.OpenAI(base_url=url + "/v1", api_key="k", max_retries=0)
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    with agentlog.ai_call(GPT, provider="openai") as call:
        call.record(client.chat.completions.create(model=GPT, messages=HI))
    with agentlog.ai_call(GPT, provider="openai") as call:
        for _ in call.stream(client.chat.completions.create(model=GPT, messages=HI, **options)):
            pass
    with agentlog.ai_call(GPT, provider="openai") as call:
        for _ in call.stream(client.responses.create(model=GPT, input="hi", stream=True)):
            pass

    async def more() -> None:
        async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="k", max_retries=0) as client:
            async with agentlog.ai_call(GPT, provider="openai") as call:
                async for _ in call.stream(await client.chat.completions.create(model=GPT, messages=HI, **options)):
                    pass
            async with agentlog.ai_call(GPT, provider="openai") as call:
                async for _ in call.stream(await client.responses.create(model=GPT, input="hi", stream=True)):
                    pass

    asyncio.run(more())


for _name, _on in {"none": (), "genai": (GENAI_OPENAI,), "openinference": (OI_OPENAI,), "traceloop": (TL_OPENAI,)}.items():
    for _how, _do in {"bare": _gpt, "in our ai_call": _gpt_wrapped}.items():
        if _name != "none" or _do is _gpt_wrapped:
            program(f"openai-{_name}{'' if _how == 'bare' else '-wrapped'}", f"openai, {_name}, {_how}", *_OPENAI)(
                lambda url, on=_on, do=_do: (instrument(*on), do(url))[1]  # type: ignore[misc]
            )
program("openai-two", "openai, Traceloop and OpenInference at once", *_OPENAI)(
    lambda url: (instrument(TL_OPENAI, OI_OPENAI), _gpt(url))[1]  # type: ignore[func-returns-value]
)
program("openai-two-reversed", "openai, OpenInference and Traceloop at once", *_OPENAI)(
    lambda url: (instrument(OI_OPENAI, TL_OPENAI), _gpt(url))[1]  # type: ignore[func-returns-value]
)
program("openai-three", "openai, three instrumentors at once", *_OPENAI)(
    lambda url: (instrument(GENAI_OPENAI, TL_OPENAI, OI_OPENAI), _gpt(url))[1]  # type: ignore[func-returns-value]
)


# -- frameworks -------------------------------------------------------------------------------------------------------------


def _langchain(url: str) -> None:
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=GPT, base_url=url + "/v1", api_key="k", max_retries=0, stream_usage=True)
    agent = create_agent(model, [tool(get_weather)])
    asked: Any = {"messages": [("user", "weather in Paris?")]}
    agent.invoke(asked)

    async def stream() -> None:
        async for _ in agent.astream(asked):
            pass

    asyncio.run(stream())


for _name, _on in {
    "openinference": (OI_LANGCHAIN,),
    "traceloop": (TL_LANGCHAIN,),
    "genai": (GENAI_LANGCHAIN,),
    "genai-and-openai": (GENAI_LANGCHAIN, GENAI_OPENAI),
    "openinference-and-openai": (OI_LANGCHAIN, OI_OPENAI),
}.items():
    program(f"langchain-{_name}", f"LangChain agent and tool, {_name}", *_LANGCHAIN)(
        lambda url, on=_on: (instrument(*on), _langchain(url))[1]  # type: ignore[misc]
    )


def _agents(url: str) -> None:
    import openai
    from agents import Agent, Runner, function_tool, set_default_openai_client

    set_default_openai_client(openai.AsyncOpenAI(base_url=url + "/v1", api_key="k", max_retries=0), use_for_tracing=False)
    agent = Agent(name="weather", model=GPT, tools=[function_tool(get_weather)])

    async def main() -> None:
        await Runner.run(agent, "weather in Paris?")
        streamed = Runner.run_streamed(agent, "weather in Paris?")
        async for _ in streamed.stream_events():
            pass
        await asyncio.gather(Runner.run(agent, "weather in Paris?"), Runner.run(agent, "weather in Rome?"))

    asyncio.run(main())


for _name, _on in {
    "openinference": (OI_AGENTS,),
    "openinference-and-openai": (OI_AGENTS, OI_OPENAI),
    "traceloop": (TL_AGENTS,),
    "traceloop-and-openai": (TL_AGENTS, OI_OPENAI),
    "genai-and-openai": (GENAI_AGENTS, GENAI_OPENAI),
}.items():
    program(f"agents-{_name}", f"openai-agents, {_name}", *_AGENTS)(
        lambda url, on=_on: (instrument(*on), _agents(url))[1]  # type: ignore[misc]
    )


def _pydantic(agent_of: Any) -> None:
    from pydantic_ai import Agent

    Agent.instrument_all()
    agent = agent_of(Agent)
    agent.tool_plain(get_weather)

    async def main() -> None:
        await agent.run("weather in Paris?")
        async with agent.run_stream("weather in Paris?") as result:
            async for _ in result.stream_text():
                pass

    asyncio.run(main())


def _pydantic_gpt(url: str) -> None:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=url + "/v1", api_key="k")
    _pydantic(lambda agent: agent(OpenAIChatModel(GPT, provider=provider)))


@program("pydantic-ai-openai", "pydantic-ai, its own tracing, openai", *_PYDANTIC)
def _pydantic_openai(url: str) -> None:
    _pydantic_gpt(url)


@program("pydantic-ai-openinference", "pydantic-ai, its own tracing and openinference-openai", *_PYDANTIC)
def _pydantic_two(url: str) -> None:
    instrument(OI_OPENAI)
    _pydantic_gpt(url)


@program("pydantic-ai-anthropic", "pydantic-ai, its own tracing and anthropic's", *_PYDANTIC)
def _pydantic_claude(url: str) -> None:
    import anthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    provider = AnthropicProvider(anthropic_client=anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0))
    _pydantic(lambda agent: agent(AnthropicModel(CLAUDE, provider=provider)))


def _litellm(url: str, wrapped: bool = False) -> None:
    import litellm

    given: Any = {"model": f"openai/{GPT}", "messages": HI, "api_base": url + "/v1", "api_key": "k"}
    if wrapped:
        with agentlog.ai_call(GPT, provider="openai") as call:
            call.record(litellm.completion(**given))
        with agentlog.ai_call(GPT, provider="openai") as call:
            for _ in call.stream(litellm.completion(stream=True, stream_options={"include_usage": True}, **given)):
                pass
    else:
        litellm.completion(**given)
        for _ in litellm.completion(stream=True, stream_options={"include_usage": True}, **given):
            pass

        async def more() -> None:
            await litellm.acompletion(**given)
            await asyncio.sleep(0.5)  # its callbacks run in tasks of their own

        asyncio.run(more())
    _litellm_callbacks()


def _litellm_callbacks() -> None:
    """Wait for the threads in which LiteLLM calls its callbacks."""
    from litellm.litellm_core_utils.thread_pool_executor import executor

    executor.shutdown(wait=True)


def _litellm_otel(url: str, wrapped: bool = False, own_span: bool = False) -> None:
    if own_span:
        os.environ["USE_OTEL_LITELLM_REQUEST_SPAN"] = "true"
    import litellm

    litellm.callbacks = ["otel"]
    _litellm(url, wrapped)


program("litellm-otel", "litellm, callback otel", *_LITELLM)(_litellm_otel)
program("litellm-otel-wrapped", "litellm, callback otel, in our ai_call", *_LITELLM)(lambda url: _litellm_otel(url, True))
program("litellm-otel-span", "litellm, callback otel with a span of its own", *_LITELLM)(
    lambda url: _litellm_otel(url, own_span=True)
)
program("litellm-otel-span-wrapped", "litellm, the same in our ai_call", *_LITELLM)(lambda url: _litellm_otel(url, True, True))


@program("litellm-openinference", "litellm, openinference", *_LITELLM)
def _litellm_oi(url: str) -> None:
    instrument("openinference.instrumentation.litellm:LiteLLMInstrumentor")
    _litellm(url)


@program("litellm-openinference-wrapped", "litellm, openinference, in our ai_call", *_LITELLM)
def _litellm_oi_wrapped(url: str) -> None:
    instrument("openinference.instrumentation.litellm:LiteLLMInstrumentor")
    _litellm(url, wrapped=True)


@program("smolagents", "smolagents, openinference", "smolagents[openai]", "openinference-instrumentation-smolagents")
def _smolagents(url: str) -> None:
    instrument("openinference.instrumentation.smolagents:SmolagentsInstrumentor")
    from smolagents import OpenAIServerModel, ToolCallingAgent, tool

    model = OpenAIServerModel(model_id=GPT, api_base=url + "/v1", api_key="k")
    ToolCallingAgent(tools=[tool(get_weather)], model=model, verbosity_level=0).run("weather in Paris?")
    global _tools_run
    _tools_run += 1  # its answer is a tool, too


@program(
    "llama-index",
    "LlamaIndex, openinference",
    "llama-index-core",
    "llama-index-llms-openai",
    "openinference-instrumentation-llama-index",
)
def _llama_index(url: str) -> None:
    instrument("openinference.instrumentation.llama_index:LlamaIndexInstrumentor")
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.llms.openai import OpenAI

    llm = OpenAI(model=GPT, api_base=url + "/v1", api_key="k", max_retries=0, additional_kwargs={})
    llm.complete("hi")

    async def main() -> None:
        agent = FunctionAgent(tools=[get_weather], llm=llm, streaming=False)
        await agent.run("weather in Paris?")

    asyncio.run(main())


@program("google-genai", "google-genai, openinference", "google-genai", "openinference-instrumentation-google-genai")
def _google(url: str) -> None:
    instrument("openinference.instrumentation.google_genai:GoogleGenAIInstrumentor")
    from google import genai

    client = genai.Client(api_key="k", http_options={"base_url": url})
    client.models.generate_content(model=GEMINI, contents="hi")


_DSPY = (
    "dspy",
    "openinference-instrumentation-dspy",
    "opentelemetry-instrumentation-genai-dspy",
)


@program("dspy", "dspy, openinference (tells no tokens)", *_DSPY, tokens=False)
def _dspy(url: str) -> None:
    instrument("openinference.instrumentation.dspy:DSPyInstrumentor")
    _dspy_predict(url)


@program("dspy-genai", "dspy, opentelemetry", *_DSPY)
def _dspy_genai(url: str) -> None:
    instrument("opentelemetry.instrumentation.genai.dspy:DSPyInstrumentor")
    _dspy_predict(url)


def _dspy_predict(url: str) -> None:
    import dspy

    dspy.configure(lm=dspy.LM(f"openai/{GPT}", api_base=url + "/v1", api_key="k", cache=False))
    dspy.Predict("question -> answer")(question="weather?")


_CREWAI = ("crewai", "openinference-instrumentation-crewai", "openinference-instrumentation-openai")


@program("crewai-and-openai", "crewai, openinference's of crewai and openai", *_CREWAI)
def _crewai(url: str) -> None:
    os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OPENAI_API_KEY="k")
    instrument("openinference.instrumentation.crewai:CrewAIInstrumentor", OI_OPENAI)
    from crewai import LLM, Agent, Crew, Task

    llm = LLM(model=f"openai/{GPT}", base_url=url + "/v1", api_key="k")
    agent = Agent(role="forecaster", goal="the weather", backstory="knows it", llm=llm)
    Crew(agents=[agent], tasks=[Task(description="weather?", expected_output="a word", agent=agent)]).kickoff()


# -- what `agentlog.instrument` takes of all that is installed ----------------------------------------------------------------


def _chosen(url: str, run: Callable[[str], None]) -> None:
    print(agentlog.instrument(), file=sys.stderr)
    run(url)


for _name, _packages, _do in (
    ("anthropic", _ANTHROPIC, _claude),
    ("openai", _OPENAI, _gpt),
    ("langchain", _LANGCHAIN, _langchain),
    ("agents", _AGENTS, _agents),
    ("pydantic-ai", _PYDANTIC, _pydantic_gpt),
    ("litellm", _LITELLM, _litellm),
):
    program(f"instrument-{_name}", f"{_name}, agentlog.instrument()", *_packages)(lambda url, do=_do: _chosen(url, do))  # type: ignore[misc]


# -- mcp --------------------------------------------------------------------------------------------------------------------


@program("mcp", "mcp client and server over stdio, its own tracing", "mcp")
def _mcp(url: str) -> None:
    global _tools_run
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    command = StdioServerParameters(command=sys.executable, args=["-m", "benchmarks.ecosystem.programs", "mcp-server"])

    async def main() -> None:
        async with stdio_client(command) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            await session.call_tool("get_weather", {"city": "Paris"})
            await session.call_tool("nope", {})

    asyncio.run(main())
    _tools_run = 2


def _mcp_server() -> None:
    from mcp.server import MCPServer

    server = MCPServer("weather")
    server.tool()(get_weather)

    @server.tool()
    def nope() -> str:
        raise ValueError("no such place")

    server.run("stdio")


# -- providers of others ----------------------------------------------------------------------------------------------------


def _configure() -> None:
    agentlog.configure(service_name="ecosystem", directory=os.environ["ECOSYSTEM_ROOT"], console="off")


def _task(work: Callable[[], None]) -> None:
    with agentlog.task("job", task_id="t"):
        work()


def _logfire(first: bool) -> None:
    import logfire

    if not first:
        _configure()
    # It keeps a provider to itself where another one was set first.
    processors = [] if first else [agentlog.span_processor()]
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=processors)
    if first:
        _configure()

    def work() -> None:
        with logfire.span("look {place}", place="here"), agentlog.step("s"):
            logfire.info("found")

    _task(work)


_LOGFIRE: Any = {"own_configure": True, "spans": ("look {place}", "found")}
program("logfire-first", "logfire, configured before us", "logfire", **_LOGFIRE)(lambda url: _logfire(True))
program("logfire-second", "logfire, after us, with our span_processor()", "logfire", **_LOGFIRE)(lambda url: _logfire(False))


def _langfuse(url: str, first: bool) -> None:
    from langfuse import Langfuse

    if not first:
        _configure()
    client = Langfuse(public_key="pk", secret_key="sk", host=url)
    if first:
        _configure()

    def work() -> None:
        with client.start_as_current_observation(name="ask", as_type="generation", model=GPT) as generation:
            import httpx

            answer = httpx.post(f"{url}/v1/chat/completions", json={"model": GPT, "messages": HI}).json()
            usage = answer["usage"]
            generation.update(
                output="Sunny.", usage_details={"input": usage["prompt_tokens"], "output": usage["completion_tokens"]}
            )
        with client.start_as_current_observation(name="get_weather", as_type="tool"):
            get_weather("Paris")

    _task(work)


program("langfuse-first", "langfuse, before us", "langfuse", own_configure=True)(lambda url: _langfuse(url, True))
program("langfuse-second", "langfuse, after us", "langfuse", own_configure=True)(lambda url: _langfuse(url, False))


def _traceloop(url: str, first: bool) -> None:
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import tool

    if not first:
        _configure()
    Traceloop.init(app_name="x", api_endpoint=url, disable_batch=True, telemetry_enabled=False)
    if first:
        _configure()

    def work() -> None:
        import openai

        client = openai.OpenAI(base_url=url + "/v1", api_key="k", max_retries=0)
        client.chat.completions.create(model=GPT, messages=HI)
        client.responses.create(model=GPT, input="hi")
        tool(name="get_weather")(get_weather)("Paris")

    _task(work)


_TRACELOOP = ("traceloop-sdk", "openai", "httpx")
program("traceloop-first", "traceloop-sdk, before us", *_TRACELOOP, own_configure=True)(lambda url: _traceloop(url, True))
program("traceloop-second", "traceloop-sdk, after us", *_TRACELOOP, own_configure=True)(lambda url: _traceloop(url, False))


def _agentops(url: str, first: bool) -> None:
    import agentops

    if not first:
        _configure()
    agentops.init(api_key="k", endpoint=url, exporter_endpoint=url + "/v1/traces", auto_start_session=True, fail_safe=True)
    if first:
        _configure()
    else:
        from agentops.sdk.core import tracer

        # It keeps a provider to itself where another one was set first.
        tracer.provider.add_span_processor(agentlog.span_processor())

    def work() -> None:
        import openai

        client = openai.OpenAI(base_url=url + "/v1", api_key="k", max_retries=0)
        client.chat.completions.create(model=GPT, messages=HI)

    _task(work)


_AGENTOPS = ("agentops", "openai")
program("agentops-first", "agentops, before us", *_AGENTOPS, own_configure=True)(lambda url: _agentops(url, True))
program("agentops-second", "agentops, after us", *_AGENTOPS, own_configure=True)(lambda url: _agentops(url, False))


def main(name: str, root: str = "", url: str = "") -> None:
    """Run a program in a task named ``t``."""
    if name == "mcp-server":
        _mcp_server()
        return
    os.environ["ECOSYSTEM_ROOT"] = root
    found = PROGRAMS[name]
    if found.own_configure:
        found.run(url)
    else:
        _configure()
        with agentlog.task("job", task_id="t"):
            found.run(url)
    receipt = agentlog.shutdown()
    counts = {"delivered": receipt.delivered, "pending": receipt.pending}
    print(json.dumps({"tools": _tools_run, **counts}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
