"""Findings about a folder: how they are counted, listed and worded."""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from pathlib import Path

from otel_agentlog._startup import dataclass

MAX_PROBLEMS_LISTED = 1000
"""How many problems a report describes; all are counted."""


class Severity(str, Enum):
    """How grave a problem is."""

    ERROR = "error"
    """Something differs from ``docs/format.md``, or is missing."""
    WARNING = "warning"
    """What a crash leaves behind, or what is unusual without being wrong."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class ValidationProblem:
    """One finding: what was expected, what was found, and where."""

    severity: Severity
    file: str
    number: int | None
    """Line number, from 1."""
    expected: str
    found: str

    def __str__(self) -> str:
        where = self.file if self.number is None else f"{self.file}:{self.number}"
        return f"{self.severity}: {where}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class ValidationReport:
    """What `validate` found."""

    folder: Path
    task_id: str = ""
    lines: int = 0
    """Lines that could be read."""
    errors: int = 0
    warnings: int = 0
    problems: list[ValidationProblem] = field(default_factory=list)
    """The first `MAX_PROBLEMS_LISTED`."""

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return self.errors == 0

    def error(self, file: str, number: int | None, expected: str, found: str) -> None:
        """Add an error."""
        self._add(ValidationProblem(Severity.ERROR, file, number, expected, found))

    def warning(self, file: str, number: int | None, expected: str, found: str) -> None:
        """Add a warning."""
        self._add(ValidationProblem(Severity.WARNING, file, number, expected, found))

    def _add(self, problem: ValidationProblem) -> None:
        if problem.severity is Severity.ERROR:
            self.errors += 1
        else:
            self.warnings += 1
        if len(self.problems) < MAX_PROBLEMS_LISTED:
            self.problems.append(problem)
