"""Arguments that no tool can use: a clear error or a result, never an error of our own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.errors import AgentlogError
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools import ToolExecutionService, command
from tests.record.hostile_values import HOSTILE
from tests.tools.workshop import Workshop

NAMES = (
    *(
        "untouchable",
        "untouchable in a list",
        "liar",
        "metaclass",
        "cycle",
        "raising mapping",
        "raising sequence",
        "str subclass",
    ),
    *(
        "int subclass",
        "dict subclass",
        "list subclass",
        "bytes",
        "nan",
        "surrogate",
        "surrogate everywhere",
        "generator",
        "odd keys",
    ),
    *(
        "NUL and escapes",
        "deep dict",
        "deep list",
        "enum",
        "exception without text",
        "huge int",
        "lambda",
        "module",
        "released memoryview",
    ),
)
VALUES: dict[str, Callable[[], Any]] = {
    **{name: HOSTILE[name] for name in NAMES},
    "none": lambda: None,
    "empty": lambda: "",
    "negative": lambda: -1,
    "object": object,
}
TRUE = ["true"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set-up that writes folders there."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", resource_interval_s=0)
    return tmp_path / "tasks"


def crashes(attempts: dict[str, Callable[[], Any]]) -> list[str]:
    """What raised anything but an error of this package, or one without words."""
    found = []
    for what, attempt in attempts.items():
        try:
            attempt()
        except AgentlogError as error:
            if not str(error):
                found.append(f"{what}: no text")
        except Exception as error:
            found.append(f"{what}: {type(error).__name__}")
    return found


def recorded_after(root: Path, attempts: dict[str, Callable[[], Any]]) -> list[str]:
    """`crashes`, in a task in which the line after them is recorded."""
    with agentlog.task("around", task_id="around"):
        found = crashes(attempts)
        agentlog.get_logger("hostile").info("after")
    agentlog.shutdown()
    assert sum(line.get("message") == "after" for line in TaskReader(root / "around").events()) == 1
    return found


PARAMETERS = ("argv", "cwd", "env", "timeout_s", "check", "input", "ok_codes", "max_output_bytes")


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_command_refuses_what_it_cannot_use(parameter: str, root: Path) -> None:
    """A `ConfigurationError` that names it, or a result."""
    attempts: dict[str, Callable[[], Any]] = {
        name: lambda make=make: command(**{"argv": TRUE, parameter: make()})  # type: ignore[misc]  # of the loop
        for name, make in VALUES.items()
    }

    assert recorded_after(root, attempts) == []


@pytest.mark.parametrize("parameter", ["script_id", "inputs", "session_id", "correlation_id"])
def test_a_service_refuses_what_it_cannot_use(parameter: str, root: Path, workshop: Workshop) -> None:
    """A result that says what is wrong."""
    workshop.python("fine", "print('{}')")
    service = workshop.service()
    attempts: dict[str, Callable[[], Any]] = {
        name: lambda make=make: service.execute(**{"script_id": "fine", parameter: make()})  # type: ignore[misc]  # of the loop
        for name, make in VALUES.items()
    }

    assert recorded_after(root, attempts) == []


def test_a_registry_of_any_kind_is_refused(root: Path) -> None:
    """By a `RegistryError`, or as a path that is not there."""
    assert recorded_after(root, {name: lambda make=make: ToolExecutionService(make()) for name, make in VALUES.items()}) == []  # type: ignore[misc]  # of the loop
