"""What must happen around a fork so that the child can send, too.

Hides two things that the child of a fork inherits and must not use: what belongs to threads of its parent that it does not have,
and modules that one of them was still importing, which in the child stay half made for ever.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

IMPORT_WAIT_S = 10.0
"""Longest time, in seconds, that a fork waits for an exporter that is just being imported, which takes about half a second."""


class Forgetful(Protocol):
    """Something that has to begin anew in the child of a fork."""

    def forget(self) -> None: ...


_forgetful: weakref.WeakSet[Forgetful] = weakref.WeakSet()


def forget_in_child(each: Forgetful) -> None:
    """Have ``each.forget()`` called in the child of every fork, as long as it lives."""
    _forgetful.add(each)


class _Held(threading.local):
    importing = False


_importing, _held = threading.RLock(), _Held()


@contextmanager
def importing() -> Iterator[None]:
    """Keep forks waiting while modules are imported in the background."""
    with _importing:
        yield


def _before() -> None:
    _held.importing = _importing.acquire(timeout=IMPORT_WAIT_S)


def _after_in_parent() -> None:
    if _held.importing:
        _held.importing = False
        _importing.release()


def _after_in_child() -> None:
    global _importing
    _importing, _held.importing = threading.RLock(), False
    for each in list(_forgetful):
        each.forget()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
