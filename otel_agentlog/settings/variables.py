"""Variables of the environment: set for a while, or asked for one by one, where `fields.py` would take too long to import."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set these variables in the block, an empty one is taken away; afterwards they are as before. For all threads at once."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set({name: value or "" for name, value in before.items()})


def is_set_to(variable: str, text: str) -> bool:
    """Whether a variable has this value."""
    return os.environ.get(variable) == text


def _set(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
