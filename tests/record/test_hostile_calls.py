"""Every public callable, every parameter, every hostile value: nothing raises but what says that it does, and nothing is lost.

The callables are found by walking what is public, so that a new one is tried without a line here.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import functools
import inspect
import logging
import pickle
import types
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import opentelemetry.trace
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context

import otel_agentlog as agentlog
from otel_agentlog import error_handling, events
from otel_agentlog.errors import ConfigurationError, StateError
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.validation.validate import validate
from tests.record.hostile_values import HOSTILE
from tests.support.app_logs import whole_log

CHOSEN = (
    *("untouchable", "untouchable key", "liar", "metaclass", "class of metaclass", "cycle", "raising mapping", "str subclass"),
    *(
        "int subclass",
        "dict subclass",
        "list subclass",
        "exception without text",
        "bytes",
        "nan",
        "surrogate everywhere",
        "generator",
    ),
    *("NUL and escapes", "deep dict", "enum", "pydantic"),
)
"""Of the objects for values; every one of them is given to every parameter, of which there are some hundreds."""

VALUES: dict[str, Callable[[], Any]] = {
    **{name: HOSTILE[name] for name in CHOSEN},
    "none": lambda: None,
    "empty": lambda: "",
    "number as text": lambda: "12",
    "negative": lambda: -1,
    "infinite": lambda: float("inf"),
    "too large": lambda: 10**30,
    "path upwards": lambda: "../../etc/passwd",
    "mock": MagicMock,
    "span": lambda: opentelemetry.trace.INVALID_SPAN,
    "structlog logger": structlog.get_logger,
    "operation": lambda: agentlog.step("as a value"),
}
BEGIN: dict[str, Callable[[], Any]] = {
    "task": lambda: agentlog.task("t"),
    "step": lambda: agentlog.step("s"),
    "ai_call": lambda: agentlog.ai_call("m"),
    "tool": lambda: agentlog.tool("x"),
    "webhook": lambda: agentlog.webhook("p", "e"),
    "file_operation": lambda: agentlog.file_operation("read", "f"),
}

REFUSALS: dict[str, tuple[tuple[type[Exception], ...], str]] = {
    "end": ((StateError,), "an outcome that is none"),
    "pause": ((StateError,), "only what runs can be paused"),
    "resume": ((StateError,), "only what is paused can go on"),
    "start": ((StateError,), "it has begun already"),
    "handle_errors": ((Exception,), "a plan that cannot be carried out is told where it is written"),
    "retrying": ((Exception,), "the same"),
    "log_performance": ((Exception,), "the same"),
    "register_category": ((Exception,), "the same"),
    "set_alert_threshold": ((ConfigurationError,), "a setting"),
    "register_alert_callback": ((ConfigurationError,), "what cannot be called"),
    "unbind": ((KeyError, TypeError), "of structlog: what is not bound cannot be unbound"),
    "try_unbind": ((TypeError,), "of structlog: what cannot be a key"),
    "__call__": ((TypeError, AttributeError), "decorates a function"),
}
"""What may raise for a value: which errors, and why."""

NOT_TRIED = {"configure", "shutdown", "command", "add_ids", "record_event", "seed_json", "instrument"}
"""`configure` refuses (tests/test_settings.py), and `instrument`, which changes this process (tests/wiring/test_instrument.py);
structlog itself calls the three before that, with values of its own; `command` runs something."""


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function or method, without ``self``."""
    return [each for each in inspect.signature(function).parameters.values() if each.name != "self"]


def calls(function: Callable[..., Any]) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Each parameter with each value, the other required ones being a text."""
    given = parameters(function)
    required = [
        each for each in given if each.default is each.empty and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    for parameter in given:
        for name, make in VALUES.items():
            args, keywords = ["x"] * len(required), {}
            if parameter in required:
                args[required.index(parameter)] = make()
            elif parameter.kind is parameter.VAR_POSITIONAL:
                args.append(make())
            elif parameter.name != "common":
                keywords["further" if parameter.kind is parameter.VAR_KEYWORD else parameter.name] = make()
            yield f"{parameter.name}={name}", tuple(args), keywords


def attempt(name: str, call: Callable[[], Any]) -> str | None:
    """What was raised that should not have been."""
    allowed = REFUSALS.get(name, ((), ""))[0]
    try:
        result = call()
        if type(result) is types.CoroutineType:
            result.close()
    except allowed:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:80] if type(error).__str__ is Exception.__str__ else ''}"
    return None


@pytest.fixture(autouse=True)
def _ids_of_others() -> Iterator[None]:
    """What is bound to the context for good is not there for the tests that follow."""
    before, of_structlog = otel_context.get_current(), structlog.contextvars.get_contextvars()
    yield
    otel_context.attach(before)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**of_structlog)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set-up that writes folders there."""
    agentlog.configure(
        service_name="hostile",
        directory=tmp_path,
        log_directory=tmp_path / ".logs",
        console="off",
        recover_on_start=False,
        capture_logging=False,
        resource_interval_s=0,
    )
    return tmp_path


def problems(root: Path) -> list[str]:
    """What `agentlog validate` finds in all folders."""
    found = [found for folder in root.iterdir() if folder.name[0] != "." for found in validate(folder).problems]
    return sorted({str(each) for each in found if each.severity == "error"})[:5]


OF_THE_PACKAGE = {
    *("kind", "start", "stream", "finish_quietly", "called", "point", "interrupt", "begin_in", "adopt", "lend"),
    *("suspended", "stream_ended", "told"),
}
"""Of the methods of operations: those that only the package calls, with values of its own; `start` takes none."""


def methods_of(thing: object) -> list[str]:
    """Its public methods."""
    names = [name for name in dir(type(thing)) if name[0] != "_" and callable(inspect.getattr_static(thing, name))]
    return [name for name in names if name not in OF_THE_PACKAGE]


@pytest.mark.parametrize("kind", BEGIN)
def test_operations_begin_with_anything(kind: str, root: Path) -> None:
    """Each parameter of each operation; each begins, ends, and takes a line."""
    make = getattr(agentlog, kind)
    raised, count = [], 0
    with agentlog.task("around", task_id="around"):
        for what, args, keywords in calls(type(BEGIN[kind]()).__init__):
            # What can be called, and has a name, is decorated.
            name = args[0] if args else keywords.get("name")
            if callable(name) and not isinstance(name, MagicMock) and kind != "webhook":
                continue
            count += 1

            def use(args: tuple[Any, ...] = args, keywords: dict[str, Any] = keywords) -> None:
                with make(*args, **keywords):
                    agentlog.get_logger("hostile").info("inside")

            if found := attempt(kind, use):
                raised.append(f"{what}: {found}")
    agentlog.shutdown()
    lines = [line for folder in root.iterdir() if folder.name[0] != "." for line in TaskReader(folder).events()]

    assert not raised, raised[:12]
    assert sum(line.get("message") == "inside" for line in lines) == count or kind == "webhook"
    assert sum(line.get("phase") == "start" for line in lines) == sum(line.get("phase") == "end" for line in lines)
    assert problems(root) == []


METHODS = [(kind, name) for kind, make in BEGIN.items() for name in methods_of(make())]


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_methods_of_operations_take_anything(kind: str, name: str, root: Path) -> None:
    """Each parameter of each method, while it runs; its end has its outcome and the fields that are its own."""
    operation = BEGIN[kind]()
    raised = []
    with agentlog.task("around", task_id="around"):
        with operation:
            for what, args, keywords in calls(getattr(type(operation), name)):
                if found := attempt(name, lambda args=args, keywords=keywords: getattr(operation, name)(*args, **keywords)):
                    raised.append(f"{what}: {found}")
                if operation.ended or operation.state.value == "paused":
                    break
            if operation.state.value == "paused":
                operation.resume()
        # Not within: a webhook belongs to no task.
        agentlog.get_logger("hostile").info("after")
    agentlog.shutdown()
    lines = [line for folder in root.iterdir() if folder.name[0] != "." for line in TaskReader(folder).events()]

    assert not raised, raised[:12]
    assert sum(line.get("message") == "after" for line in lines) == 1
    assert all(line["outcome"] for line in lines if line.get("phase") == "end")
    assert problems(root) == []


SETTABLE = {
    "task": ("name", "input", "result"),
    "step": ("name",),
    "ai_call": ("name", "model", "provider", "operation", "attempts"),
    "tool": ("name", "arguments", "result", "exit_code", "resources", "attempts"),
    "webhook": ("name", "provider", "event_type", "payload"),
    "file_operation": ("operation", "path", "size_bytes", "details"),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in SETTABLE.items() for name in names])
def test_attributes_of_operations_may_be_anything(kind: str, name: str, root: Path) -> None:
    """Set before it begins and while it runs; each is ended by a line with its outcome and duration."""
    raised = []
    with agentlog.task("around", task_id="around"):
        for what, make in VALUES.items():

            def use(make: Callable[[], Any] = make) -> None:
                operation = BEGIN[kind]()
                setattr(operation, name, make())
                with operation:
                    setattr(operation, name, make())

            if found := attempt("", use):
                raised.append(f"{what}: {found}")
    agentlog.shutdown()
    lines = [line for folder in root.iterdir() if folder.name[0] != "." for line in TaskReader(folder).events()]
    ends = [line for line in lines if line.get("phase") == "end"]

    assert not raised, raised[:12]
    assert len(ends) == len(VALUES) + 1 - (1 + len(VALUES) if kind == "webhook" else 0) + (1 if kind == "webhook" else 0)
    assert problems(root) == []


def _functions() -> dict[str, Callable[..., Any]]:
    found = {name: getattr(module, name) for module in (agentlog, events, error_handling) for name in module.__all__}
    return {name: each for name, each in found.items() if inspect.isfunction(each) and name not in {*NOT_TRIED, *BEGIN}}


@pytest.mark.parametrize("name", _functions())
def test_functions_take_anything(name: str, root: Path) -> None:
    """Every public function that is no start of an operation."""
    function = _functions()[name]
    raised = []
    with agentlog.task("around", task_id="around"):
        for what, args, keywords in calls(function):
            if found := attempt(name, lambda args=args, keywords=keywords: function(*args, **keywords)):
                raised.append(f"{what}: {found}")
        agentlog.get_logger("hostile").info("after")
    agentlog.shutdown()

    assert not raised, raised[:12]
    assert sum(line.get("message") == "after" for line in TaskReader(root / "around").events()) == 1
    assert problems(root) == []


@pytest.mark.parametrize("name", methods_of(agentlog.get_logger("hostile")))
def test_loggers_take_anything(name: str, root: Path) -> None:
    """Each method of a logger, bound or not, and the names that mean something to it."""
    raised = []
    meaningful = (
        "exc_info",
        "stack_info",
        "stacklevel",
        "event",
        "task_id",
        "step_id",
        "trace_id",
        "correlation_id",
        "component",
    )
    with agentlog.task("around", task_id="around"):
        for what, args, keywords in calls(getattr(agentlog.AgentLogger, name)):
            logger = agentlog.get_logger("hostile")
            if found := attempt(name, lambda args=args, keywords=keywords: getattr(logger, name)(*args, **keywords)):
                raised.append(f"{what}: {found}")
            logger.info("after")
        for key in meaningful if name in ("info", "bind") else ():
            for what, make in VALUES.items():
                given = {key: make()}
                if found := attempt(name, lambda given=given: agentlog.get_logger("hostile").bind(**given).info("bound")):
                    raised.append(f"{key}={what}: {found}")
    agentlog.shutdown()
    lines = list(TaskReader(root / "around").events())

    assert not raised, raised[:12]
    assert sum(line.get("message") == "after" for line in lines) == len(list(calls(getattr(agentlog.AgentLogger, name))))
    if name == "info":
        assert sum("bound" in str(line.get("message")) for line in lines) == len(meaningful) * len(VALUES)
    assert problems(root) == []


DECORATORS: dict[str, Callable[[], Any]] = {
    **BEGIN,
    "handle_errors": lambda: agentlog.handle_errors(),
    "log_performance": lambda: error_handling.log_performance("api"),
    "retrying": lambda: agentlog.retrying(attempts=1),
}
WAYS = ("plain", "coroutine", "generator", "future", "partial")


def _result_of(coroutine: Coroutine[Any, Any, Any]) -> Any:
    # Not `asyncio.run`, which itself makes a `repr` of the result.
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for nothing")


def _wrapped(decorator: Any, way: str) -> Callable[[Any], Any]:
    """A function that returns what it is called with, decorated, as a function that is simply called."""

    async def coroutine(value: Any) -> Any:
        return value

    def generator(value: Any) -> Iterator[Any]:
        yield value
        return value

    def future(value: Any) -> Any:
        made: concurrent.futures.Future[Any] = concurrent.futures.Future()
        made.set_result(value)
        return made

    if way == "coroutine":
        decorated = decorator(coroutine)
        return lambda value: _result_of(decorated(value))
    if way == "generator":
        decorated = decorator(generator)
        return lambda value: next(each for each in decorated(value))
    if way == "future":
        decorated = decorator(future)
        return lambda value: decorated(value).result()
    return decorator(functools.partial(lambda value: value) if way == "partial" else lambda value: value)  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", DECORATORS)
def test_decorated_functions_take_and_return_anything(kind: str, way: str, root: Path) -> None:
    """The very object that the function returned comes back; of an AI call and a stream one that stands for it."""
    if kind == "retrying" and way == "generator":
        pytest.skip("refused: parts of a generator may have been used when it fails")
    raised = []
    with agentlog.task("around", task_id="around"):
        call = _wrapped(DECORATORS[kind](), way)
        for name, make in {**VALUES, "released memoryview": HOSTILE["released memoryview"], "file": HOSTILE["file"]}.items():
            value = make()

            def use(value: Any = value, name: str = name) -> None:
                assert call(value) is value or name in ("generator", "mock", "file")  # what can be a stream

            if found := attempt("", use):
                raised.append(f"{name}: {found}")
        agentlog.get_logger("hostile").info("after")
    agentlog.shutdown()

    assert not raised, raised[:12]
    assert sum(line.get("message") == "after" for line in TaskReader(root / "around").events()) == 1
    assert problems(root) == []


def _ai_call_with(**changed: Any) -> None:
    with agentlog.ai_call("gpt-4o", provider="openai", conversation_id="c-1", temperature=0.2) as call:
        call.usage(input_tokens=3, output_tokens=2, cost_usd=0.5, finish_reasons=["stop"])
        for name, value in changed.items():
            setattr(call, name, value)


def test_a_hostile_attribute_costs_an_ai_call_nothing_else(root: Path) -> None:
    """Tokens, cost, finish reasons and all other fields of its end are there, whichever attribute is set to whatever."""
    names = ("name", "model", "provider", "operation", "attempts")
    with agentlog.task("around", task_id="around"):
        _ai_call_with()
        for name in names:
            for make in VALUES.values():
                _ai_call_with(**{name: make()})
    agentlog.shutdown()
    usual, *ends = [line["details"] for line in TaskReader(root / "around").events() if line["type"] == "ai_response"]
    replaced = [name for name in names[1:] for _ in VALUES]
    by_name = [(None, end) for end in ends[: len(VALUES)]] + list(zip(replaced, ends[len(VALUES) :], strict=True))

    assert len(ends) == len(names) * len(VALUES)
    assert {"input_tokens", "output_tokens", "cost_usd", "finish_reasons", "model", "provider", "attempts"} <= set(usual)
    for name, end in by_name:
        assert {key: end.get(key) for key in usual if key != name} == {key: usual[key] for key in usual if key != name}
    assert problems(root) == []


EVENT_KEYS = (
    *("event", "level", "log_level", "logger", "logger_name", "timestamp", "exc_info", "stack_info", "stack", "exception"),
    *("component", "_record", "_logger", "_name", "positional_args", "stacklevel", "pathname", "lineno", "func_name", "task_id"),
)


class RefusingDict(dict[str, Any]):
    """An event of a chain that lets nobody change it."""

    def _refuse(self, *_given: object) -> Any:
        raise TypeError("read only")

    __setitem__ = setdefault = pop = update = _refuse  # type: ignore[assignment]  # that is the point


@pytest.mark.parametrize("processor", ["add_ids", "record_event", "seed_json"])
def test_processors_of_a_structlog_chain_take_any_event(processor: str, root: Path) -> None:
    """They run inside the user's chain: each key with each value, and events that are no plain dict."""
    process = getattr(agentlog, processor)
    events: dict[str, Callable[[], Any]] = {
        f"{key}={name}": lambda key=key, make=make: {"event": "x", key: make()}  # type: ignore[misc]  # of the loop
        for key in EVENT_KEYS
        for name, make in VALUES.items()
    }
    events |= {f"event is {name}": make for name, make in VALUES.items()}
    callers = ((None, "info"), (logging.getLogger("x"), "nonsense"), (MagicMock(), None), (object(), object()))
    events |= {"refusing": lambda: RefusingDict(event="x"), "empty dict": dict, "odd keys": HOSTILE["odd keys"]}
    raised = []
    with agentlog.task("around", task_id="around"):
        for what, make in events.items():
            for logger, method in callers:
                if found := attempt("", lambda make=make, logger=logger, method=method: process(logger, method, make())):
                    raised.append(f"{what}: {found}")
        agentlog.get_logger("hostile").info("after")
    agentlog.shutdown()

    assert not raised, raised[:12]
    assert sum(line.get("message") == "after" for line in TaskReader(root / "around").events()) == 1
    assert problems(root) == []


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "within a state": lambda thing: copy.deepcopy({"state": [thing]})["state"][0],
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("kind", BEGIN)
def test_a_copy_ends_nothing(kind: str, how: str, root: Path) -> None:
    """Copies are made, used and dropped while the operation runs; it is ended once, by itself."""
    with agentlog.task("around", task_id="around"), BEGIN[kind]() as operation:
        copied = COPIES[how](operation)
        assert (copied.name, copied.trace_id, copied.span_id) == (operation.name, operation.trace_id, operation.span_id)
        copied.set(more=1)
        with pytest.raises(StateError):
            copied.end()
        with pytest.raises(StateError), copied:
            pass
        del copied
        assert not operation.ended
        agentlog.get_logger("hostile").info("after")
    agentlog.shutdown()
    lines = [line for folder in root.iterdir() if folder.name[0] != "." for line in TaskReader(folder).events()]

    assert [line["outcome"] for line in lines if line.get("phase") == "end"].count("completed") == (1 if kind == "webhook" else 2)
    assert "after" in str(lines) or kind == "webhook"
    assert problems(root) == []


@pytest.mark.parametrize("how", COPIES)
def test_what_else_is_handed_out_can_be_copied(how: str, root: Path) -> None:
    """Loggers, bindings, receipts and settings are kept in states of agents, which are copied."""
    chosen = agentlog.configure(directory=root, log_directory=root / ".logs", console="off")
    things = [agentlog.get_logger("x"), agentlog.bind(note=1), agentlog.flush(), chosen, agentlog.task("not begun")]

    assert all(type(COPIES[how](thing)) is type(thing) for thing in things)


@pytest.mark.parametrize("how", COPIES)
def test_plans_can_be_copied(how: str) -> None:
    """What is kept in modules and states: a copy tries again, and handles, as the original does."""
    plans = [agentlog.retrying(attempts=2, first_wait_s=0, max_wait_s=0), agentlog.handle_errors(fallback=5)]
    plan, handler = (COPIES[how](thing) for thing in plans)
    tries: list[int] = []

    @plan
    def second_time() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("once")
        return 7

    @handler
    def never() -> int:
        raise ConnectionError("always")

    assert (second_time(), len(tries), never()) == (7, 2, 5)


def _all_calls() -> dict[str, Callable[..., Any]]:
    """Every public callable by ``kind.method`` or name; methods take the operation first."""
    found = {f"{kind}.{name}": getattr(type(BEGIN[kind]()), name) for kind, name in METHODS if name not in ("pause", "resume")}
    found |= {f"log.{name}": getattr(agentlog.AgentLogger, name) for name in methods_of(agentlog.get_logger("hostile"))}
    return found | _functions() | {kind: getattr(agentlog, kind) for kind in BEGIN}


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_all_parameters_at_once_may_be_anything(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One callable, a hostile value for each of its parameters; the ordinary line after it is recorded, the folders are valid."""
    root = tmp_path_factory.mktemp("tasks")
    agentlog.configure(
        directory=root,
        log_directory=root / ".logs",
        console="off",
        recover_on_start=False,
        capture_logging=False,
        resource_interval_s=0,
    )
    every = _all_calls()
    name = data.draw(st.sampled_from(sorted(every)), "call")
    kind, _, method = name.rpartition(".")
    args, keywords = [], {}
    values = st.sampled_from(sorted(VALUES))
    for each in parameters(every[name] if name not in BEGIN else type(BEGIN[name]()).__init__):
        value = VALUES[data.draw(values, each.name)]()
        if each.kind in (each.POSITIONAL_ONLY, each.VAR_POSITIONAL) or (each.kind is each.POSITIONAL_OR_KEYWORD and not keywords):
            args.append(value)
        elif each.name != "common":
            keywords["further" if each.kind is each.VAR_KEYWORD else each.name] = value
    with agentlog.task("around", task_id="around"):
        with BEGIN[kind]() if kind in BEGIN else contextlib.nullcontext(agentlog.get_logger("hostile")) as target:
            made = getattr(target, method) if kind else every[name]
            raised = attempt(method, lambda: made(*args, **keywords))
        agentlog.get_logger("hostile").info("after")
    agentlog.shutdown()

    assert raised is None
    assert sum(line.get("message") == "after" for line in TaskReader(root / "around").events()) == 1
    assert problems(root) == []


@pytest.mark.parametrize(
    "first", [None, logging.getLogger("of.the.user"), agentlog.get_logger("ours"), structlog.get_logger(), "no logger"]
)
def test_an_error_is_told_in_either_shape(first: Any, root: Path) -> None:
    """The error first or the logger first; the id in the message is that of the line."""
    try:
        raise TimeoutError("slow")
    except TimeoutError as error:
        if first is None or first == "no logger":
            identity, text = agentlog.log_and_format_error(error, "timeout", logger=first, message="no answer", job=7)
        else:
            identity, text = agentlog.log_and_format_error(first, error_type="timeout", message="no answer", error=error, job=7)

    assert identity in text
    assert text.startswith("**That took too long**")
    if first is None or first == "no logger":
        line = next(line for line in whole_log(root / ".logs").splitlines() if identity in line)
        assert '"message":"no answer"' in line
        assert '"job":7' in line
