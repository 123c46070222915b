"""From a script and its inputs to what is started: argv, environment, standard input, rights.

Inputs never become part of argv, which every user of the machine can read; they reach the script on its standard input or in its
environment.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.api import current_operation
from otel_agentlog.record.carrier import environ
from otel_agentlog.record.recorder import recorder
from otel_agentlog.settings.fields import inherited
from otel_agentlog.tools.causes import ToolError
from otel_agentlog.tools.process.mask import Mask, is_secret, secret_inputs, shown_inputs
from otel_agentlog.tools.process.run import Launch
from otel_agentlog.tools.scripts.registry import Script
from otel_agentlog.tools.scripts.schema import violations

MAX_INPUT_BYTES = 64 << 20
MAX_INPUT_LEVELS = 100
"""Functions that walk an input recurse once per level; Python's stack has a thousand at most."""
_MAX_VARIABLE_BYTES = 128 * 1024 - 1
_MOST_VIOLATIONS = 20
_SYSTEM_READ = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/dev", "/proc", sys.prefix, sys.base_prefix)
_SYSTEM_WRITE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")


@dataclass(frozen=True)
class Prepared:
    """What is the same in every attempt."""

    script: Script
    stdin: bytes
    env: Mapping[str, str]
    mask: Mask
    shown: Any
    """The inputs as they may be recorded."""


def prepare(script: Script, inputs: Any) -> Prepared:
    """Check the inputs and make them ready.

    Raises:
        ToolError: they do not match the script's schema, or cannot be given to a process.
    """
    inputs, encoded = _plain(script, inputs)
    env = inherited(script.environment)
    secrets = [*secret_inputs(script.input_schema, inputs), *(value for name, value in env.items() if is_secret(name, value))]
    mask = Mask(secrets)
    if script.inputs_by == "environment":
        env.update(_as_variables(script, inputs))
        encoded = b""
    return Prepared(script, encoded, env, mask, shown_inputs(script.input_schema, inputs, mask))


def _plain(script: Script, given: Any) -> tuple[dict[str, Any], bytes]:
    """The inputs as plain data, and the same as JSON; what is checked, shown and given to the script is this."""
    inputs: Any = None
    try:
        encoded = json.dumps(given, allow_nan=False, ensure_ascii=False).encode("utf-8")
        if len(encoded) <= MAX_INPUT_BYTES:
            inputs = json.loads(encoded)
    except Exception as error:  # noqa: BLE001 - mappings and lists may be of any class
        raise_interrupt()
        # Its message may hold a secret value; its type is enough.
        wrong = [f"inputs: expected JSON (texts, numbers, lists, objects), found something else ({type(error).__name__})"]
    else:
        if len(encoded) > MAX_INPUT_BYTES:
            raise ToolError(f"{script.id}: inputs of {len(encoded)} bytes, at most {MAX_INPUT_BYTES}", "inputs_too_large")
        wrong = _violations(script, inputs)
    if wrong:
        more = f"; and {len(wrong) - _MOST_VIOLATIONS} more" if len(wrong) > _MOST_VIOLATIONS else ""
        raise ToolError(f"{script.id}: {'; '.join(wrong[:_MOST_VIOLATIONS])}{more}", "invalid_inputs")
    return inputs, encoded


def _violations(script: Script, inputs: Any) -> list[str]:
    if (levels := _levels(inputs)) > MAX_INPUT_LEVELS:
        return [f"inputs: expected at most {MAX_INPUT_LEVELS} levels of objects and lists, found {levels}"]
    wrong = violations(script.input_schema, inputs)
    return wrong if wrong or isinstance(inputs, dict) else [f"inputs: expected object, found {type(inputs).__name__}"]


def _levels(value: Any) -> int:
    """How deep objects and lists lie in each other."""
    levels, here = 0, [value]
    while here := [each for each in here if isinstance(each, (dict, list))]:
        here = [item for each in here for item in (each.values() if isinstance(each, dict) else each)]
        levels += 1
    return levels


def _as_variables(script: Script, inputs: Mapping[str, Any]) -> dict[str, str]:
    """``INPUT_<NAME>`` for each input; what is no text is JSON."""
    variables: dict[str, str] = {}
    for name, value in inputs.items():
        variable = "INPUT_" + re.sub(r"[^A-Z0-9_]", "_", str(name).upper())
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if variable in variables:
            raise ToolError(f"{script.id}: two inputs would be the variable {variable}", "invalid_inputs")
        if "\0" in text:
            raise ToolError(f"{script.id}: inputs.{name}: a variable cannot hold NUL", "invalid_inputs")
        if len(text.encode("utf-8", "replace")) + len(variable) + 1 > _MAX_VARIABLE_BYTES:
            raise ToolError(f"{script.id}: inputs.{name} is too large for a variable", "inputs_too_large")
        variables[variable] = text
    return variables


def launch_of(prepared: Prepared, execution_id: str, scratch: str, *, sandboxed: bool = True) -> Launch:
    """What one attempt starts; ``scratch`` is a fresh folder of its own."""
    script = prepared.script
    cwd = str(script.folder / script.cwd) if script.cwd else scratch
    env = {"HOME": scratch, "TMPDIR": scratch, **prepared.env, **carried()}
    argv = _argv(script)
    memory = script.memory_limit_mb
    return Launch(
        argv=argv,
        env=env,
        cwd=cwd,
        execution_id=execution_id,
        stdin=prepared.stdin,
        timeout_s=script.timeout_s,
        grace_s=script.grace_s,
        memory_bytes=int(memory * 1_000_000) if memory is not None else None,
        sandbox=_sandbox(script, argv[0], scratch) if sandboxed else {},
        no_new_privileges=True,
        core_dumps=False,
        scratch=scratch,
    )


def _argv(script: Script) -> list[str]:
    if script.path is not None:
        return [str(script.folder / script.path)]
    words = [word.replace("{python}", sys.executable).replace("{here}", str(script.folder)) for word in script.argv]
    if "/" in words[0]:
        words[0] = str(script.folder / words[0])
    return words


def program_of(script: Script) -> dict[str, str]:
    """The program as the conventions name it."""
    program = _argv(script)[0]
    named = {"executable_name": os.path.basename(program)}
    return {**named, "executable_path": program} if "/" in program else named


def _sandbox(script: Script, program: str, scratch: str) -> dict[str, Any]:
    rights: dict[str, Any] = {}
    given = script.sandbox
    if "read" in given:
        rights["read"] = [*_paths(script, given["read"]), *_SYSTEM_READ, str(script.folder), *_homes(program)]
    if "write" in given:
        rights["write"] = [*_paths(script, given["write"]), scratch, *_SYSTEM_WRITE]
    elif "read" in given:
        rights["read"].append(scratch)
    if given.get("network") is False:
        rights["network"] = False
    if "write" in given and given.get("attributes") is True:
        rights["attributes"] = True
    return rights


def _paths(script: Script, paths: list[str]) -> Iterator[str]:
    for path in paths:
        yield str(script.folder / path)


def _homes(program: str) -> Iterator[str]:
    if "/" in program:
        yield os.path.dirname(program)
        yield os.path.dirname(os.path.realpath(program))


def carried() -> dict[str, str]:
    """The variables by which a child goes on with the task it was started in; none outside of tasks."""
    operation = current_operation()
    task = operation.task if operation is not None else None
    if operation is None or task is None:
        return {}
    found = next((each for each in list(recorder().open_tasks) if each.task is task), None)
    carrier: dict[str, str] = found.carrier() if found is not None else {}
    return environ({**carrier, **_here()})


def _here() -> dict[str, str]:
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier


def fresh_folder() -> str:
    """A new empty folder that only this user can enter."""
    return tempfile.mkdtemp(prefix="agentlog-run-")
