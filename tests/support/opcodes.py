"""Trace functions that see every instruction, from the first one on every Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

Traced = TypeVar("Traced", bound=Callable[[FrameType, str, Any], Any])


def set_trace(called: Callable[[FrameType, str, Any], Any] | None) -> None:
    """`sys.settrace` for a function that answers each call with `every_instruction`."""
    # Python 3.12 sends no instructions unless a frame has asked for them before this.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(called)


def every_instruction(frame: FrameType, traced: Traced) -> Traced:
    """What a trace function answers to the call of a frame, so that ``traced`` gets each of its instructions and no lines."""
    # In this order: Python 3.13 otherwise begins with the next call of the same function.
    frame.f_trace = traced
    frame.f_trace_lines, frame.f_trace_opcodes = False, True
    return traced
