"""What is recorded of a process besides its start and end: output while it comes, excerpts, figures, and why it failed."""

from __future__ import annotations

from typing import Any

from otel_agentlog.guard import ErrorDetails
from otel_agentlog.record import ToolRun, recorder
from otel_agentlog.run.outcome_causes import CAUSES, ToolError
from otel_agentlog.run.process_end import Ending, ResourceUsage
from otel_agentlog.run.process_mask import Mask
from otel_agentlog.run.process_output import Output, excerpt

_TAIL_CHARACTERS = 1000
_TRACE = "Traceback (most recent call last)"
_SELF_EXPLAINING = ("timed_out", "cancelled")


def recorded_output(run: ToolRun, limit_bytes: int, mask: Mask, *, stop_beyond: bool = False) -> Output:
    """Takes what a process prints and records it in that run while it comes."""
    record = recorder()

    def say(stream: str, text: str) -> None:
        line = {"type": "output", "level": "INFO", "component": "tool", "action": "content_recorded", "content": text}
        run.point({**line, "details": {"stream": stream, "tool": run.name}})

    return Output(limit_bytes, say=say if record.active else None, mask=mask, new_guard=record.new_guard, stop_beyond=stop_beyond)


def recorded_result(output: Output, ending: Ending, mask: Mask) -> dict[str, Any]:
    """Sizes and excerpts, for the end of the run."""
    record = recorder()
    shown: dict[str, Any] = {}
    for name, stream in output.kept.items():
        shown[f"{name}_bytes"] = stream.size_bytes
        if record.active and stream.size_bytes:
            shown[name] = excerpt(stream, mask, record.new_guard)
    further = {"left_behind": ending.left_behind, "unkillable": list(ending.unkillable), "reason": ending.reason}
    return {**shown, **{key: value for key, value in further.items() if value}}


def set_figures(run: ToolRun, usage: ResourceUsage) -> None:
    """What the processes used, for the end of the run; some of it also stands on the span."""
    run.resources = usage.as_resources()
    run.set_attribute("agentlog.tool.cpu_seconds", round(usage.cpu_s, 6))
    if usage.memory_peak_mb is not None:
        run.set_attribute("agentlog.tool.memory_peak_mb", usage.memory_peak_mb)


def failure_details(error: ToolError, stderr: str, mask: Mask, execution_id: str) -> ErrorDetails:
    """All about a failure, with the last that the process said; redacted."""
    said = recorder().clean_text(mask.text(stderr)).strip()
    last = said.rpartition("\n")[2][-_TAIL_CHARACTERS:]
    cause = CAUSES[error.cause]
    return ErrorDetails(
        category=cause.category,
        message=f"ToolError: {error}" + (f": {last}" if last and error.cause not in _SELF_EXPLAINING else ""),
        context={**error.context, "execution_id": execution_id, **({"stderr": said[-_TAIL_CHARACTERS:]} if said else {})},
        suggestions=cause.suggestions,
        stack_trace=said[said.rfind(_TRACE) :] if _TRACE in said else "",
    )
