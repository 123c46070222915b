"""Propagates OpenTelemetry's context into new threads and thread pools, by wrapping ``Thread.start`` and ``Executor.submit``.

Nothing else is carried. A pool's worker starts without a context, so that a call never runs in the task of another caller.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

_lock = threading.Lock()
_on = False

_POOLS = frozenset({"multiprocessing.dummy"})
"""Modules with threads that are pool workers: they outlive the context they are started in and serve other callers."""


def propagate() -> None:
    """Let new threads and submitted calls continue the context they were started in. May be called again."""
    global _on
    with _lock:
        _on = True
        if not _is_wrapped(threading.Thread.start):
            threading.Thread.start = _wrapped_start(threading.Thread.start)  # type: ignore[method-assign]
        if not _is_wrapped(ThreadPoolExecutor.submit):
            ThreadPoolExecutor.submit = _wrapped_submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]


def unpropagate() -> None:
    """Undo `propagate`. Where other code wrapped these methods after us, ours stay inside and do nothing."""
    global _on
    with _lock:
        _on = False
        for owner, name in ((threading.Thread, "start"), (ThreadPoolExecutor, "submit")):
            method = getattr(owner, name)
            if _is_ours(method):
                setattr(owner, name, method.__wrapped__)


_MARK = "_agentlog_propagates"


def _is_ours(method: Any) -> bool:
    # A wrapper around ours may have copied the mark; it is not the one that the mark names.
    return getattr(method, "__dict__", {}).get(_MARK) is method


def _is_wrapped(method: Any) -> bool:
    """Whether ours is among the wrappers of a method."""
    while method is not None:
        if _is_ours(method):
            return True
        method = getattr(method, "__wrapped__", None)
    return False


def _wrapped_start(start: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(start)
    def start_in_context(self: threading.Thread, *args: Any, **kwargs: Any) -> None:
        context = otel_context.get_current()
        if not _on or not context or type(self).__module__ in _POOLS:
            return start(self, *args, **kwargs)
        before = vars(self).get("run")
        self.run = _Run(self, before, context)  # type: ignore[method-assign]
        try:
            return start(self, *args, **kwargs)
        except BaseException:
            _put_back(self, before)
            raise

    vars(start_in_context)[_MARK] = start_in_context
    return start_in_context


class _Run:
    """Replaces a thread's ``run`` until it is called, wherever that is defined."""

    __slots__ = ("_before", "_context", "_thread")

    def __init__(self, thread: threading.Thread, before: Callable[[], None] | None, context: Context) -> None:
        self._thread: threading.Thread | None = thread
        self._before, self._context = before, context

    def __call__(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        _put_back(thread, self._before)
        otel_context.attach(self._context)
        self._context = Context()
        thread.run()


def _put_back(thread: threading.Thread, before: Callable[[], None] | None) -> None:
    if before is None:
        vars(thread).pop("run", None)
    else:
        thread.run = before  # type: ignore[method-assign]


def _wrapped_submit(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @functools.wraps(submit)
    def submit_in_context(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if not _on:
            return submit(self, fn, *args, **kwargs)
        context = otel_context.get_current()
        if not context:
            return submit(self, _in_context(context, fn), *args, **kwargs)
        # The pool may start a worker now; it must not begin in this context.
        otel_context.attach(Context())
        try:
            return submit(self, _in_context(context, fn), *args, **kwargs)
        finally:
            otel_context.attach(context)

    vars(submit_in_context)[_MARK] = submit_in_context
    return submit_in_context


def _in_context(context: Context, fn: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        before = otel_context.get_current()
        otel_context.attach(context)
        try:
            return fn(*args, **kwargs)
        finally:
            otel_context.attach(before)

    return call
