"""The doors of the rooms that load lazily say the same thing three times, and mean it."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

LAZY = ("otel_agentlog.store", "otel_agentlog.query")


@pytest.mark.parametrize("room", LAZY)
def test_every_name_of_a_door_is_there(room: str) -> None:
    """Each public name can be had, and comes from the room."""
    door = importlib.import_module(room)

    assert [name for name in door.__all__ if not hasattr(door, name)] == []
    assert set(door.__all__) <= set(dir(door))


def test_a_module_does_not_take_the_place_of_a_function() -> None:
    """``store.validate`` is a module and a function; the door gives the function, whichever was imported first."""
    program = (
        "import otel_agentlog.store.validate, otel_agentlog.query.report\n"
        "from otel_agentlog.store import validate\n"
        "from otel_agentlog.query import report\n"
        "print(callable(validate), callable(report))\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert said.stdout == "True True\n"


def test_what_is_not_there_is_an_attribute_error() -> None:
    """As with any module."""
    door = importlib.import_module("otel_agentlog.store")
    with pytest.raises(AttributeError, match="nonsense"):
        _ = door.nonsense
