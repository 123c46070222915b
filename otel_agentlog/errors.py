"""The errors this package raises on purpose.

    AgentlogError
    ├── ConfigurationError    configure() was given a value it cannot use; names the setting and the value
    ├── StateError            a move that is not legal, e.g. end() on something that has ended
    ├── LayoutError           a folder that is not a task folder, or a file in it that cannot be read
    └── TaskNotFoundError     no folder for a task id

Recording calls raise none of these, with one exception: `StateError` goes to the caller of an illegal move.
"""

from __future__ import annotations


class AgentlogError(Exception):
    """Base of every error of this package."""


class ConfigurationError(AgentlogError, ValueError):
    """A setting has a value that cannot be used."""

    def __init__(self, setting: str, value: object, expected: str) -> None:
        super().__init__(f"setting {setting!r}: expected {expected}, found {value!r}")
        self.setting = setting


class StateError(AgentlogError, RuntimeError):
    """A move from one state to another that is not legal; nothing was recorded."""


class LayoutError(AgentlogError):
    """A file or folder that does not have the layout of ``docs/format.md``."""


class TaskNotFoundError(AgentlogError, LookupError):
    """No task of that id below the root."""
