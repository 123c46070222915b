"""The systems that are measured, each as its documentation says it is to be used: the product, and what else one could take.

A module of one of them is imported when that system is made: each has an environment of its own.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.systems.workload import Ai, Step, System, Task, Tool

QUEUE = 500_000
"""Items the bare SDK may hold back: none is lost."""


class Product:
    """otel_agentlog with its defaults: folder, redaction, spans, log records and metrics; contents in the folder only."""

    packages = ("opentelemetry-sdk", "orjson", "structlog")

    def __init__(self, endpoint: str, folder: Path) -> None:
        import otel_agentlog as agentlog

        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        agentlog.configure(service_name="bench", directory=folder / "tasks", log_directory=folder / "logs", console="off")
        self._agentlog = agentlog
        self._info = agentlog.get_logger("agent", agentlog.Component.AGENT).info

    def task(self, task: Task) -> AbstractContextManager[Any]:
        return self._agentlog.task("bench task", task_id=task.id, agent=task.agent)

    def step(self, task: Task, step: Step) -> AbstractContextManager[Any]:
        return self._agentlog.step(step.name)

    def ai(self, ai: Ai) -> AbstractContextManager[Any]:
        return self._agentlog.ai_call(
            ai.model,
            provider=ai.provider,
            temperature=ai.temperature,
            max_tokens=ai.max_tokens,
            messages=[{"role": "user", "content": ai.prompt}],
        )

    def answer(self, call: Any, ai: Ai) -> None:
        call.record(
            {
                "id": ai.response_id,
                "type": "message",
                "role": "assistant",
                "model": ai.model,
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": ai.answer}],
                "usage": {"input_tokens": ai.input_tokens, "output_tokens": ai.output_tokens},
            }
        )

    def tool(self, tool: Tool) -> AbstractContextManager[Any]:
        return self._agentlog.tool(tool.name, arguments=tool.arguments, call_id=tool.call_id)

    def result(self, run: Any, tool: Tool) -> None:
        run.result = tool.result

    def log(self, message: str, fields: dict[str, Any]) -> None:
        self._info(message, **fields)

    def flush(self) -> None:
        self._agentlog.flush(60)

    def shutdown(self) -> None:
        self._agentlog.shutdown(60)


class Sdk:
    """The bare OpenTelemetry SDK over http/protobuf, with queues that lose nothing; nothing is kept on disk."""

    packages: tuple[str, ...] = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")

    def __init__(self, endpoint: str, folder: Path) -> None:
        warnings.simplefilter("ignore")
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.name": "bench"})
        self.tracers, self.loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)
        spans, logs = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"), OTLPLogExporter(endpoint=f"{endpoint}/v1/logs")
        self.tracers.add_span_processor(BatchSpanProcessor(spans, max_queue_size=QUEUE))
        self.loggers.add_log_record_processor(BatchLogRecordProcessor(logs, max_queue_size=QUEUE))
        trace.set_tracer_provider(self.tracers)
        self._client = trace.SpanKind.CLIENT
        self._span = trace.get_tracer("bench").start_as_current_span
        logger = logging.getLogger("agent")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(LoggingHandler(logger_provider=self.loggers))
        self._info = logger.info

    def task(self, task: Task) -> AbstractContextManager[Any]:
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": task.agent,
            "task.id": task.id,
            "session.id": task.session_id,
        }
        return self._span("invoke_agent coder", attributes=attributes)

    def step(self, task: Task, step: Step) -> AbstractContextManager[Any]:
        return self._span("step", attributes={"task.id": task.id, "step.index": step.index, "step.name": step.name})

    def ai(self, ai: Ai) -> AbstractContextManager[Any]:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": ai.provider,
            "gen_ai.request.model": ai.model,
            "gen_ai.request.temperature": ai.temperature,
            "gen_ai.request.max_tokens": ai.max_tokens,
            "gen_ai.input.messages": ai.prompt,
        }
        return self._span(f"chat {ai.model}", kind=self._client, attributes=attributes)

    def answer(self, call: Any, ai: Ai) -> None:
        call.set_attributes(
            {
                "gen_ai.response.id": ai.response_id,
                "gen_ai.response.model": ai.model,
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.usage.input_tokens": ai.input_tokens,
                "gen_ai.usage.output_tokens": ai.output_tokens,
                "gen_ai.output.messages": ai.answer,
            }
        )

    def tool(self, tool: Tool) -> AbstractContextManager[Any]:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool.name,
            "gen_ai.tool.call.id": tool.call_id,
            "gen_ai.tool.call.arguments": tool.arguments,
        }
        return self._span(f"execute_tool {tool.name}", attributes=attributes)

    def result(self, run: Any, tool: Tool) -> None:
        run.set_attribute("gen_ai.tool.call.result", tool.result)

    def log(self, message: str, fields: dict[str, Any]) -> None:
        self._info(message, extra=fields)

    def flush(self) -> None:
        self.tracers.force_flush(60_000)
        self.loggers.force_flush(60_000)

    def shutdown(self) -> None:
        self.tracers.shutdown()
        self.loggers.shutdown()


class UtilGenai(Sdk):
    """opentelemetry-util-genai over the bare SDK; contents on the span."""

    packages = ("opentelemetry-util-genai", "opentelemetry-sdk")

    def __init__(self, endpoint: str, folder: Path) -> None:
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
        super().__init__(endpoint, folder)
        from opentelemetry.util.genai import handler, types

        self._types = types
        self._handler = handler.TelemetryHandler(
            tracer_provider=self.tracers, logger_provider=self.loggers, instrumentation_scope_name="bench"
        )

    def task(self, task: Task) -> AbstractContextManager[Any]:
        workflow: AbstractContextManager[Any] = self._handler.workflow(name=task.agent)
        return workflow

    def ai(self, ai: Ai) -> AbstractContextManager[Any]:
        call: Any = self._handler.inference(ai.provider, request_model=ai.model)
        call.temperature, call.max_tokens = ai.temperature, ai.max_tokens
        call.input_messages = [self._types.InputMessage(role="user", parts=[self._types.TextPart(content=ai.prompt)])]
        return call

    def answer(self, call: Any, ai: Ai) -> None:
        part = self._types.TextPart(content=ai.answer)
        call.output_messages = [self._types.OutputMessage(role="assistant", parts=[part], finish_reason="stop")]
        call.response_id, call.response_model_name, call.finish_reasons = ai.response_id, ai.model, ["stop"]
        call.input_tokens, call.output_tokens = ai.input_tokens, ai.output_tokens

    def tool(self, tool: Tool) -> AbstractContextManager[Any]:
        run: Any = self._handler.tool(tool.name)
        run.tool_call_id, run.arguments = tool.call_id, tool.arguments
        return run

    def result(self, run: Any, tool: Tool) -> None:
        run.tool_result = tool.result


class Logfire:
    """Logfire, sending to the receiver alone; its log calls are spans without length."""

    packages = ("logfire", "opentelemetry-sdk")

    def __init__(self, endpoint: str, folder: Path) -> None:
        import logfire

        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        logfire.configure(send_to_logfire=False, console=False, service_name="bench", inspect_arguments=False)
        self._logfire = logfire

    def task(self, task: Task) -> AbstractContextManager[Any]:
        return self._logfire.span("agent task {task_id}", task_id=task.id, session_id=task.session_id, agent=task.agent)

    def step(self, task: Task, step: Step) -> AbstractContextManager[Any]:
        return self._logfire.span("step {step}", step=step.index, name=step.name, task_id=task.id)

    def ai(self, ai: Ai) -> AbstractContextManager[Any]:
        more = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": ai.prompt}
        model, provider = ai.model, ai.provider
        return self._logfire.span(
            "chat {model}", model=model, provider=provider, temperature=ai.temperature, max_tokens=ai.max_tokens, **more
        )

    answer = Sdk.answer

    def tool(self, tool: Tool) -> AbstractContextManager[Any]:
        return self._logfire.span("tool {tool}", tool=tool.name, call_id=tool.call_id, arguments=tool.arguments)

    def result(self, run: Any, tool: Tool) -> None:
        run.set_attribute("result", tool.result)

    def log(self, message: str, fields: dict[str, Any]) -> None:
        self._logfire.info(message, **fields)

    def flush(self) -> None:
        self._logfire.force_flush(60_000)

    def shutdown(self) -> None:
        self._logfire.shutdown(60_000)


class Structlog:
    """structlog to a file with orjson, the fastest way of its own performance page; it has no spans and sends nothing."""

    packages = ("structlog", "orjson")

    def __init__(self, endpoint: str, folder: Path) -> None:
        import orjson
        import structlog

        self._file = (folder / "app.jsonl").open("ab")
        structlog.configure(
            cache_logger_on_first_use=True,
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            logger_factory=structlog.BytesLoggerFactory(self._file),
        )
        self._info = structlog.get_logger().info

    def task(self, task: Task) -> AbstractContextManager[Any]:
        return nullcontext()

    def step(self, task: Task, step: Step) -> AbstractContextManager[Any]:
        return nullcontext()

    def ai(self, ai: Ai) -> AbstractContextManager[Any]:
        return nullcontext()

    def answer(self, call: Any, ai: Ai) -> None:
        pass

    def tool(self, tool: Tool) -> AbstractContextManager[Any]:
        return nullcontext()

    def result(self, run: Any, tool: Tool) -> None:
        pass

    def log(self, message: str, fields: dict[str, Any]) -> None:
        self._info(message, **fields)

    def flush(self) -> None:
        self._file.flush()

    def shutdown(self) -> None:
        self._file.close()


SYSTEMS: dict[str, Callable[[str, Path], System]] = {
    "sdk": Sdk,
    "product": Product,
    "structlog": Structlog,
    "util-genai": UtilGenai,
    "logfire": Logfire,
}
"""Each by the name it has on the command line."""


def versions(system: str) -> dict[str, str]:
    """The versions of what a system consists of, in the environment of this process."""
    found = {}
    for name in getattr(SYSTEMS[system], "packages", ()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "?"
    return found
