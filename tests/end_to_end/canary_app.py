"""A program that puts a secret, a lone surrogate and undecodable bytes wherever a user, or the system around, can put text.

    python -m tests.end_to_end.canary_app ROOT LOGS [foreign]

Each secret is another one, made of its place: what leaks says where from. With ``foreign`` the application has its own provider.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import suppress
from typing import Any

from opentelemetry import baggage, context, metrics, trace
from opentelemetry._logs import LogRecord, get_logger_provider
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

import otel_agentlog as agentlog
from otel_agentlog import events, tools

PLACES = 0


def secret(place: str) -> str:
    """A token of a form that the rules know, other at each place, and what no encoding takes."""
    global PLACES
    PLACES += 1
    return f"{place} {token(place)} \udce9"


def token(place: str) -> str:
    """The token of a place: 36 letters and digits after a prefix, the place's name first."""
    name = "".join(part for part in place if part.isalnum())
    return "ghp_" + (f"CANARY{name}" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")[:36]


def vendor_span(tracer: trace.Tracer) -> None:
    """A span of another library, with a secret in every part of it."""
    remote = SpanContext(1, 2, True, TraceFlags(1), TraceState([("vendor", token("linkstate"))]))
    span = tracer.start_span(
        secret("vendorname"),
        kind=SpanKind.CLIENT,
        attributes={"url": secret("vendorattr"), secret("vendorkey"): 1, "list": [secret("vendorlist")]},
        links=[Link(remote, {"link": secret("vendorlink")})],
    )
    span.add_event(secret("vendorevent"), {"e": secret("vendoreventattr")})
    span.set_status(Status(StatusCode.ERROR, secret("vendorstatus")))
    span.update_name(secret("vendorrenamed"))
    span.end()


def on_our_span() -> None:
    """What other code puts on a span of ours."""
    span = trace.get_current_span()
    span.set_attribute("a", secret("ourattr"))
    span.add_event(secret("ourevent"), {"e": secret("oureventattr")})
    span.add_link(SpanContext(1, 2, True, TraceFlags(1)), {"l": secret("ourlink")})


def renamed() -> None:
    """A span of ours that other code names and gives a status."""
    with agentlog.step("renamed"):
        span = trace.get_current_span()
        span.update_name(secret("ourname"))
        span.set_status(Status(StatusCode.ERROR, secret("ourstatus")))


def vendor_log_and_metric() -> None:
    """A log record and a measurement of other libraries."""
    logger = get_logger_provider().get_logger(secret("logscope"), secret("logversion"))
    logger.emit(
        LogRecord(
            body={"b": secret("logbody")},
            attributes={"a": secret("logattr")},
            event_name=secret("logevent"),
            severity_text=secret("logseverity"),
        )
    )
    meter = metrics.get_meter(secret("meterscope"), secret("meterversion"))
    meter.create_counter("vendor.count", description=secret("meterdescription")).add(1, {"l": secret("meterlabel")})


def operations(task: Any) -> None:
    """Everything that our own functions take."""
    log = agentlog.get_logger(secret("loggername"), secret("component"))
    log.bind(bound=secret("bound")).info(
        secret("message"), value=secret("logvalue"), data=secret("logbytes").encode("utf-8", "surrogateescape")
    )
    logging.getLogger(secret("stdlibname")).warning("%s", secret("stdlib"), extra={"x": secret("stdlibextra")})
    with agentlog.bind(
        correlation_id=secret("corr"), session_id=secret("session"), instance_id=secret("instance"), other=secret("other")
    ):
        with agentlog.step(
            secret("step"),
            step_id=secret("stepid"),
            attributes={secret("stepkey"): secret("stepattr")},
            component=secret("stepcomp"),
        ):
            on_our_span()
    renamed()
    with (
        suppress(ValueError),
        agentlog.tool(
            secret("tool"),
            arguments={secret("argkey"): secret("arg")},
            call_id=secret("callid"),
            tool_type=secret("tooltype"),
            description=secret("tooldesc"),
        ) as run,
    ):
        run.attempt_failed(ValueError(secret("attempt")), reason=secret("attemptreason"), wait_seconds=0)
        run.result = {"r": secret("result"), b"raw\xe9 " + secret("bytekey").encode("utf-8", "surrogateescape"): 1}
        raise ValueError(secret("exception"))
    messages = [{"role": secret("role"), "content": secret("content")}]
    with agentlog.ai_call(
        secret("model"), provider=secret("provider"), messages=messages, server_address=secret("server")
    ) as call:
        call.record(
            {
                "id": secret("responseid"),
                "model": secret("responsemodel"),
                "choices": [{"message": {"content": secret("answer")}}],
                "usage": {},
            }
        )
    task.output(secret("output"), extra=secret("outputdetail"))
    task.thinking(secret("thinking"), stream=True)
    task.checkpoint()
    task.set(custom=secret("taskattr"))
    events.log_event(
        secret("eventcomp"),
        "said",
        secret("eventmessage"),
        details={"d": secret("eventdetail")},
        error=KeyError(secret("eventerror")),
    )
    tools.command(
        [sys.executable, "-c", "import sys; print(sys.argv[1:])", token("argv"), "--password", token("argvpass")],
        env={"MY_SECRET_TOKEN": token("env")},
    )
    with warnings.catch_warnings(record=True):
        task.result = {"r": secret("taskresult")}


def main(root: str, logs: str, foreign: bool) -> None:
    """Record from every place, then flush."""
    agentlog.get_logger("early").warning(secret("beforeconfigure"))
    if foreign:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        trace.set_tracer_provider(TracerProvider(resource=Resource({"foreign.resource": secret("foreignresource")})))
    settings = agentlog.configure(
        directory=root,
        log_directory=logs,
        console="json",
        content="full",
        send_delay_s=0,
        endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    )
    print(repr(settings))
    tracer = trace.get_tracer(secret("scopename"), secret("scopeversion"), attributes={"s": secret("scopeattr")})
    vendor_span(tracer)
    traced = {
        "traceparent": f"00-{7:032x}-{8:016x}-01",
        "tracestate": f"vendor={token('tracestate')}",
        "baggage": f"b={token('baggage')}",
    }
    with agentlog.webhook(secret("hookprovider"), secret("hookevent"), {"headers": {"x": secret("hookheader")}}) as hook:
        hook.stage(secret("stage"), status=secret("stagestatus"), **{secret("stagekey"): secret("stagevalue")})
        hook.create_task(secret("hooktask"), input=secret("hookinput"), task_id=secret("hooktaskid"), tags=[secret("hooktag")])
        carrier = hook.push(secret("queue"), detail=secret("queuedetail"))
    with agentlog.task(resume=carrier) as resumed:
        print(repr(resumed), resumed)
    with agentlog.task(
        secret("task"),
        input={"i": secret("input")},
        agent=secret("agent"),
        agent_type=secret("agenttype"),
        workflow=secret("workflow"),
        model=secret("taskmodel"),
        source=secret("source"),
        provider=secret("taskprovider"),
        correlation_id=secret("taskcorr"),
        session_id=secret("tasksession"),
        instance_id=secret("taskinstance"),
        tags=[secret("tag")],
        task_id=secret("taskid"),
        attributes={secret("taskkey"): secret("taskattribute")},
        component=secret("taskcomp"),
        resume=traced,
    ) as task:
        attached = context.attach(baggage.set_baggage("b", secret("baggagevalue")))
        operations(task)
        vendor_span(tracer)
        vendor_log_and_metric()
        context.detach(attached)
        with agentlog.task(secret("subtask"), session_id=secret("subsession")):
            tools.control.add_context(task.folder, secret("added"), reason=secret("addedreason"), requested_by=secret("addedby"))
            tools.control.pause(task.folder, reason=secret("pausereason"))
            tools.control.resume(task.folder)
    print(agentlog.flush())
    print("places", PLACES)
    agentlog.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "foreign" in sys.argv)
