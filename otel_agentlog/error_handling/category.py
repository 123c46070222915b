"""Categories and causes of errors, with the suggestions for each."""

from __future__ import annotations

from enum import Enum

from otel_agentlog._startup import dataclass


class ErrorCategory(str, Enum):
    """The kind of an error; equal to its name as a string."""

    TIMEOUT = "TIMEOUT"
    """It took longer than it was allowed to."""
    VALIDATION = "VALIDATION"
    """What was given cannot be used; trying again with the same cannot succeed."""
    DEPENDENCY = "DEPENDENCY"
    """Something else that is needed is not there or does not answer."""
    EXECUTION = "EXECUTION"
    """It ran and failed by itself."""
    PERMISSION = "PERMISSION"
    """It is not allowed; trying again cannot succeed."""
    RESOURCE = "RESOURCE"
    """Something is used up: memory, disk, descriptors, a quota, a rate."""
    UNKNOWN = "UNKNOWN"
    """Nothing is known about this kind of error."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Cause:
    """A known reason for errors."""

    category: ErrorCategory
    suggestions: tuple[str, ...] = ()
    """The most likely remedy first."""
