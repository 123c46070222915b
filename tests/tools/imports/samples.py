"""Files of every format as their programs write them, made by us, each with the sums that were computed by hand.

A model ``m-1`` costs by the million tokens: 1 $ of input, 0.1 $ read from the cache, 1.25 $ written to it, 10 $ of output. `Sums`
has costs in millionths of a dollar, so they are the sums of tokens times price.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PRICES = {
    "m-1": {"input_per_mtok": 1.0, "output_per_mtok": 10.0, "cache_read_per_mtok": 0.1, "cache_write_per_mtok": 1.25},
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Sums:
    """Over all tasks of a file."""

    tasks: int = 1
    ai_calls: int = 0
    tool_runs: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    micro_usd: float | None = None
    """``None``: the price of some call is not known, and of none it is."""
    failed: int = 0
    """Tool runs and AI calls that failed."""
    wrong: int = 0


def lines(rows: Iterable[Row | str]) -> str:
    """The text of a file with a row a line."""
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


# -- Claude Code -------------------------------------------------------------------------------------------------------------


class Claude:
    """Rows of one session, each a second after the other."""

    def __init__(self, session: str = "s-1", **common: Any) -> None:
        self.rows: list[Row | str] = []
        self._common = {"sessionId": session, "cwd": "/home/ann/app", "version": "2.0.14", "isSidechain": False, **common}
        self._second = 0

    def row(self, kind: str, **more: Any) -> Claude:
        self._second += 1
        at = f"2026-11-02T10:{self._second // 60:02d}:{self._second % 60:02d}.000Z"
        uuid = f"{self._common['sessionId']}-{self._common.get('agentId', '')}-{len(self.rows)}"
        self.rows.append({"type": kind, "uuid": uuid, "timestamp": at, **self._common, **more})
        return self

    def says(self, text: str, **more: Any) -> Claude:
        return self.row("user", message={"role": "user", "content": text}, **more)

    def result(self, call_id: str, content: Any = "ok", *, error: bool = False) -> Claude:
        block = {"type": "tool_result", "tool_use_id": call_id, "content": content, **({"is_error": True} if error else {})}
        return self.row("user", message={"role": "user", "content": [block]})

    def answers(self, id_: str, *blocks: Row, usage: tuple[int, int, int, int] = (0, 0, 0, 0), **more: Any) -> Claude:
        """``usage``: fresh input, read from the cache, written to it, output."""
        fresh, read, written, output = usage
        message = {"id": id_, "type": "message", "role": "assistant", "model": "m-1", "content": [*blocks]}
        message["usage"] = {
            "input_tokens": fresh,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "output_tokens": output,
        }
        return self.row("assistant", message=message, requestId=f"req-{id_}", **more)


def said(text: str) -> Row:
    return {"type": "text", "text": text}


def uses(call_id: str, name: str = "Bash", **given: Any) -> Row:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def _claude() -> dict[str, tuple[list[Row | str], Sums]]:
    found: dict[str, tuple[list[Row | str], Sums]] = {}
    found["one answer"] = (
        Claude().says("hi").answers("a", said("hello"), usage=(100, 0, 0, 10)).rows,
        Sums(ai_calls=1, input=100, output=10, micro_usd=200),
    )
    # The last row of an answer has all of its tokens.
    found["blocks of one answer"] = (
        Claude()
        .says("hi")
        .answers("a", {"type": "thinking", "thinking": "hm", "signature": "x"}, usage=(10, 1000, 100, 1))
        .answers("a", uses("t1", command="ls"), usage=(10, 1000, 100, 50))
        .result("t1")
        .answers("b", said("done"), usage=(5, 1100, 0, 20))
        .rows,
        # 10 + 5 fresh, 2100 read (210), 100 written (125), 70 out (700): 15 + 210 + 125 + 700
        Sums(ai_calls=2, tool_runs=1, input=2215, output=70, cached=2100, micro_usd=1050),
    )
    found["a tool that failed"] = (
        Claude().says("x").answers("a", uses("t1"), usage=(10, 0, 0, 1)).result("t1", "no such file", error=True).rows,
        Sums(ai_calls=1, tool_runs=1, input=10, output=1, micro_usd=20, failed=1),
    )
    # Results of the first tool come before the second block of the same answer.
    found["tools between blocks"] = (
        Claude()
        .says("x")
        .answers("a", uses("t1"), usage=(10, 0, 0, 5))
        .result("t1")
        .answers("a", uses("t2"), usage=(10, 0, 0, 9))
        .result("t2")
        .rows,
        Sums(ai_calls=1, tool_runs=2, input=10, output=9, micro_usd=100),
    )
    main = Claude().says("x").answers("a", uses("t1", "Task", prompt="look", description="Looker"), usage=(10, 0, 0, 1))
    agent = Claude(isSidechain=True).says("look", parentUuid=None, uuid="k1")
    agent.answers("z", said("seen"), usage=(7, 0, 0, 2), parentUuid="k1", uuid="k2")
    main.rows += agent.rows
    found["a sub-agent in the same file"] = (
        main.result("t1", "seen").rows,
        Sums(tasks=2, ai_calls=2, tool_runs=1, input=17, output=3, micro_usd=47),
    )
    found["a sub-agent in a file of its own"] = (
        Claude(isSidechain=True, agentId="ad58932").says("look").answers("z", said("seen"), usage=(7, 0, 0, 2)).rows,
        Sums(ai_calls=1, input=7, output=2, micro_usd=27),
    )
    failed = Claude().says("x")
    failed.row(
        "assistant",
        isApiErrorMessage=True,
        message={"id": "e", "role": "assistant", "model": "<synthetic>", "content": [said("API Error: 529 overloaded")]},
    )
    found["a request that failed"] = (failed.rows, Sums(ai_calls=1, failed=1))
    again = Claude().says("x").answers("a", said("y"), usage=(10, 0, 0, 1)).rows
    found["rows that are there twice"] = ([*again, *again], Sums(ai_calls=1, input=10, output=1, micro_usd=20))
    found["lines that are wrong"] = (
        ["{", *again, "[1", '{"type":"assistant","uuid":"q","sessionId":"s-1","message":{"content":7}}', "plain"],
        Sums(ai_calls=2, input=10, output=1, micro_usd=20, wrong=3),
    )
    found["other rows"] = (
        [
            {"type": "summary", "summary": "s", "leafUuid": "l"},
            {"type": "file-history-snapshot", "messageId": "m", "snapshot": {}},
            *Claude().says("<caveat>", isMeta=True).says("x").answers("a", said("y"), usage=(10, 0, 0, 1), costUSD=0.5).rows,
            {"type": "system", "subtype": "compact_boundary", "content": "compacted", "sessionId": "s-1", "uuid": "c"},
            {"type": "progress", "sessionId": "s-1", "uuid": "d", "data": {}},
        ],
        Sums(ai_calls=1, input=10, output=1, micro_usd=500_000),
    )
    return found


# -- Codex -------------------------------------------------------------------------------------------------------------------


class Codex:
    """Rows of one session."""

    def __init__(self, id_: str = "x-1", model: str = "m-1", **meta: Any) -> None:
        self.rows: list[Row | str] = []
        self._second = 0
        self._total = [0, 0, 0, 0]
        self.row("session_meta", {"id": id_, "cwd": "/home/ann/web", "cli_version": "0.98.0", "model_provider": "openai", **meta})
        self.row("turn_context", {"model": model})

    def row(self, kind: str, payload: Row) -> Codex:
        self._second += 1
        self.rows.append({"timestamp": f"2026-11-03T09:00:{self._second:02d}.500Z", "type": kind, "payload": payload})
        return self

    def item(self, kind: str, **more: Any) -> Codex:
        return self.row("response_item", {"type": kind, **more})

    def says(self, text: str) -> Codex:
        return self.item("message", role="user", content=[{"type": "input_text", "text": text}])

    def answers(self, text: str) -> Codex:
        return self.item("message", role="assistant", content=[{"type": "output_text", "text": text}])

    def calls(self, call_id: str, **given: Any) -> Codex:
        return self.item("function_call", name="shell", arguments=json.dumps(given), call_id=call_id)

    def result(self, call_id: str, text: str = "ok", code: int = 0) -> Codex:
        output = json.dumps({"output": text, "metadata": {"exit_code": code, "duration_seconds": 0.1}})
        return self.item("function_call_output", call_id=call_id, output=output)

    def tokens(self, given: int, cached: int, output: int, reasoning: int = 0) -> Codex:
        last = [given, cached, output, reasoning]
        self._total = [a + b for a, b in zip(self._total, last, strict=True)]
        names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
        info = {
            "total_token_usage": dict(zip(names, self._total, strict=True)),
            "last_token_usage": dict(zip(names, last, strict=True)),
        }
        return self.row("event_msg", {"type": "token_count", "info": info, "rate_limits": None})


def _codex() -> dict[str, tuple[list[Row | str], Sums]]:
    found: dict[str, tuple[list[Row | str], Sums]] = {}
    found["one answer"] = (
        Codex().says("hi").answers("hello").tokens(100, 60, 10).rows,
        # 40 fresh, 60 read (6), 10 out (100)
        Sums(ai_calls=1, input=100, output=10, cached=60, micro_usd=146),
    )
    found["a tool"] = (
        Codex().says("ls").calls("c1", command=["ls"]).tokens(100, 0, 10, 5).result("c1").answers("a").tokens(200, 100, 1).rows,
        # 100 + 100 (10 + 100) + 100 + 10: 100 + 100 + 10 + 110
        Sums(ai_calls=2, tool_runs=1, input=300, output=11, cached=100, micro_usd=320),
    )
    found["a tool that failed"] = (
        Codex().says("ls").calls("c1").tokens(10, 0, 1).result("c1", "nothing", 2).rows,
        Sums(ai_calls=1, tool_runs=1, input=10, output=1, micro_usd=20, failed=1),
    )
    twice = Codex().says("hi").answers("hello").tokens(100, 0, 10)
    found["tokens that are told twice"] = (
        [*twice.rows, twice.rows[-1]],
        Sums(ai_calls=1, input=100, output=10, micro_usd=200),
    )
    found["tokens of something that says nothing"] = (
        Codex().says("hi").answers("hello").tokens(100, 0, 10).tokens(50, 0, 5).rows,
        Sums(ai_calls=2, input=150, output=15, micro_usd=300),
    )
    found["a result before the tokens"] = (
        Codex().says("ls").calls("c1").result("c1").tokens(10, 0, 1).answers("a").tokens(20, 0, 1).rows,
        Sums(ai_calls=2, tool_runs=1, input=30, output=2, micro_usd=50),
    )
    patch = (
        Codex().says("x").item("custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="p", status="completed")
    )
    found["a tool with a text"] = (
        patch.tokens(10, 0, 1).item("custom_tool_call_output", call_id="p", output="Exit code: 1\nOutput:\nno").rows,
        Sums(ai_calls=1, tool_runs=1, input=10, output=1, micro_usd=20, failed=1),
    )
    found["a turn that was aborted"] = (
        Codex().says("x").calls("c1").tokens(10, 0, 1).row("event_msg", {"type": "turn_aborted", "reason": "interrupted"}).rows,
        Sums(ai_calls=1, tool_runs=1, input=10, output=1, micro_usd=20),
    )
    found["a file of before"] = (
        [
            {"id": "old-1", "timestamp": "2025-07-01T10:00:00.000Z", "instructions": None},
            {"record_type": "state"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c", "output": '{"output":"x","metadata":{"exit_code":0}}'},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]},
        ],
        Sums(ai_calls=2, tool_runs=1),
    )
    found["lines that are wrong"] = (
        ["nonsense", *Codex().says("hi").answers("x").tokens(10, 0, 1).rows, '{"timestamp":', "17"],
        Sums(ai_calls=1, input=10, output=1, micro_usd=20, wrong=3),
    )
    return found


# -- chat messages -------------------------------------------------------------------------------------------------------------


def _usage(given: int, output: int) -> Row:
    return {"usage": {"prompt_tokens": given, "completion_tokens": output, "total_tokens": given + output}}


def _messages() -> dict[str, tuple[list[Row | str], Sums]]:
    user, hello = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    found: dict[str, tuple[list[Row | str], Sums]] = {}
    found["a conversation a line"] = (
        [{"id": 1, "messages": [user, hello]}, {"id": 2, "messages": [user, hello]}, {"id": 1, "messages": [hello]}],
        Sums(tasks=3, ai_calls=3),
    )
    found["the same conversation twice"] = ([{"messages": [user, hello]}, {"messages": [user, hello]}], Sums(tasks=1, ai_calls=1))
    found["tokens"] = (
        [{"model": "m-1", "messages": [user, {**hello, **_usage(100, 10)}, user, {**hello, **_usage(120, 10)}]}],
        Sums(ai_calls=2, input=220, output=20, micro_usd=420),
    )
    found["a tool"] = (
        [
            {
                "messages": [
                    user,
                    {"role": "assistant", "content": None, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "c", "content": "2"},
                    hello,
                ]
            }
        ],
        Sums(ai_calls=2, tool_runs=1),
    )
    found["a message a line"] = ([user, hello, user, hello], Sums(ai_calls=2))
    found["messages of two threads"] = (
        [{**user, "thread_id": "a"}, {**user, "thread_id": "b"}, {**hello, "thread_id": "a"}, {**hello, "thread_id": "b"}],
        Sums(tasks=2, ai_calls=2),
    )
    found["a list a line"] = ([json.dumps([user, hello]), json.dumps([user, hello, user])], Sums(tasks=2, ai_calls=2))
    use = {"type": "tool_use", "id": "t", "name": "Read", "input": {"p": 1}}
    failed = {"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True}
    found["blocks"] = (
        [
            {
                "model": "m-1",
                "messages": [
                    user,
                    {"role": "assistant", "content": [use], "usage": {"input_tokens": 10, "output_tokens": 2}},
                    {"role": "user", "content": [failed]},
                    {
                        "role": "assistant",
                        "content": [{"type": "text", "text": "x"}],
                        "usage": {"input_tokens": 20, "output_tokens": 1},
                    },
                ],
            }
        ],
        Sums(ai_calls=2, tool_runs=1, input=30, output=3, micro_usd=60, failed=1),
    )
    found["a cost that is told"] = ([{"messages": [user, {**hello, "cost_usd": 0.25}]}], Sums(ai_calls=1, micro_usd=250_000))
    found["lines that are wrong"] = (["no", {"messages": [user, hello]}, "{"], Sums(ai_calls=1, wrong=2))
    return found


# -- OTLP ----------------------------------------------------------------------------------------------------------------------

TRACE = "0af7651916cd43dd8448eb211c80319c"


def _any(value: Any) -> Row:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any(each) for each in value]}}
    return {"stringValue": value}


def attributes(**given: Any) -> list[Row]:
    """By names with ``__`` for a dot."""
    return [{"key": name.replace("__", "."), "value": _any(value)} for name, value in given.items()]


def span(
    number: int, parent: int | None = None, *, trace: str = TRACE, at: int = 0, took: int = 1, error: bool = False, **given: Any
) -> Row:
    """A span that begins ``at`` so many seconds and takes so many."""
    begin = 1_795_000_000 + at
    found: Row = {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "name": given.pop("name", f"span {number}"),
        "kind": 1,
        "startTimeUnixNano": f"{begin}000000000",
        "endTimeUnixNano": f"{begin + took}000000000",
        "attributes": attributes(**given),
        "status": {"code": 2, "message": "broken"} if error else {},
    }
    return found if parent is None else {**found, "parentSpanId": f"{parent:016x}"}


def request(*spans: Row, scope: str = "lib") -> Row:
    """A row of the collector's file exporter."""
    resource = {"attributes": attributes(service__name="svc")}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": scope}, "spans": [*spans]}]}]}


def chat(number: int, parent: int | None = None, given: int = 0, output: int = 0, **more: Any) -> Row:
    """The span of an AI call."""
    usage = {"gen_ai__usage__input_tokens": given, "gen_ai__usage__output_tokens": output}
    return span(number, parent, gen_ai__operation__name="chat", gen_ai__request__model="m-1", **usage, **more)


def tool(number: int, parent: int | None = None, **more: Any) -> Row:
    """The span of a tool run."""
    return span(number, parent, gen_ai__operation__name="execute_tool", gen_ai__tool__name="Read", **more)


def _otlp() -> dict[str, tuple[list[Row | str], Sums]]:
    found: dict[str, tuple[list[Row | str], Sums]] = {}
    other = "1af7651916cd43dd8448eb211c80319c"
    found["one call"] = (
        [request(chat(2, 1, 100, 10, at=1), span(1, took=5))],
        Sums(ai_calls=1, input=100, output=10, micro_usd=200),
    )
    found["calls and tools"] = (
        [request(span(1, took=9), chat(2, 1, 10, 1, at=1), tool(3, 1, at=3), chat(4, 1, 20, 2, at=5))],
        Sums(ai_calls=2, tool_runs=1, input=30, output=3, micro_usd=60),
    )
    found["two traces"] = (
        [request(chat(1, None, 10, 1)), request(chat(1, None, 20, 2, trace=other))],
        Sums(tasks=2, ai_calls=2, input=30, output=3, micro_usd=60),
    )
    found["one trace in several rows"] = (
        [request(chat(3, 1, 10, 1, at=2)), request(chat(2, 1, 10, 1)), request(span(1, took=5))],
        Sums(ai_calls=2, input=20, output=2, micro_usd=40),
    )
    # Two libraries see one request.
    inner, outer = request(chat(3, 2, 10, 1, took=1, at=1), scope="a"), request(chat(2, 1, 10, 1, took=3), scope="b")
    found["a call that is seen twice"] = (
        [inner, outer, request(span(1, took=9))],
        Sums(ai_calls=1, input=10, output=1, micro_usd=20),
    )
    found["what failed"] = (
        [request(span(1, took=9), tool(2, 1, error=True), chat(3, 1, 10, 0, at=2, error=True))],
        Sums(ai_calls=1, tool_runs=1, input=10, micro_usd=10, failed=2),
    )
    found["a span that is there twice"] = (
        [request(chat(1, None, 10, 1)), request(chat(1, None, 10, 1))],
        Sums(ai_calls=1, input=10, output=1, micro_usd=20),
    )
    found["a parent that is not there"] = ([request(chat(2, 77, 10, 1))], Sums(ai_calls=1, input=10, output=1, micro_usd=20))
    found["a cost that is told"] = (
        [request(chat(1, None, 10, 1, gen_ai__usage__cost=0.5))],
        Sums(ai_calls=1, input=10, output=1, micro_usd=500_000),
    )
    broken = {**chat(5), "traceId": "zz"}
    found["lines that are wrong"] = (
        ["{", request(chat(1, None, 10, 1), broken), "nonsense"],
        Sums(ai_calls=1, input=10, output=1, micro_usd=20, wrong=3),
    )
    return found


# -- Langfuse ------------------------------------------------------------------------------------------------------------------


def observation(
    id_: str, kind: str = "GENERATION", *, trace: str = "t-1", at: int = 0, parent: str | None = None, **more: Any
) -> Row:
    """A row of the API."""
    times = {"startTime": f"2026-11-04T10:00:{at:02d}.000Z", "endTime": f"2026-11-04T10:00:{at + 1:02d}.000Z"}
    model = {"model": "m-1"} if kind == "GENERATION" else {}
    return {"id": id_, "traceId": trace, "type": kind, "name": id_, "parentObservationId": parent, **times, **model, **more}


def details(given: int, output: int, **more: int) -> Row:
    """Its usage."""
    return {"usageDetails": {"input": given, "output": output, **more, "total": given + output + sum(more.values())}}


def _langfuse() -> dict[str, tuple[list[Row | str], Sums]]:
    found: dict[str, tuple[list[Row | str], Sums]] = {}
    one = Sums(ai_calls=1, input=100, output=10, micro_usd=200)
    found["one observation"] = ([observation("a", **details(100, 10))], one)
    found["a trace and its observations"] = (
        [
            {
                "id": "t-1",
                "timestamp": "2026-11-04T10:00:00.000Z",
                "projectId": "p",
                "name": "n",
                "sessionId": "s",
                "tags": ["x"],
            },
            observation("root", "SPAN"),
            observation("a", parent="root", **details(100, 10)),
            observation("b", "TOOL", parent="root", at=5),
        ],
        Sums(ai_calls=1, tool_runs=1, input=100, output=10, micro_usd=200),
    )
    # Cached ones are not in `input`.
    found["cached tokens"] = (
        [observation("a", **details(40, 10, input_cached_tokens=60))],
        Sums(ai_calls=1, input=100, output=10, cached=60, micro_usd=146),
    )
    # Here they are, as the total shows.
    inside = {"usageDetails": {"input": 100, "input_cached_tokens": 60, "output": 10, "total": 110}}
    found["cached tokens that are in the input"] = (
        [observation("a", **inside)],
        Sums(ai_calls=1, input=100, output=10, cached=60, micro_usd=146),
    )
    found["a cost"] = (
        [observation("a", **details(100, 10), costDetails={"input": 0.1, "output": 0.2, "total": 0.3})],
        Sums(ai_calls=1, input=100, output=10, micro_usd=300_000),
    )
    found["what failed"] = (
        [observation("a", "TOOL", level="ERROR", statusMessage="no"), observation("b", at=3, level="ERROR")],
        Sums(ai_calls=1, tool_runs=1, failed=2),
    )
    snake = {
        "id": "a",
        "trace_id": "t-1",
        "type": "GENERATION",
        "start_time": "2026-11-04 10:00:00.000000",
        "end_time": "2026-11-04 10:00:01.000000",
        "provided_model_name": "m-1",
        "usage_details": json.dumps({"input": 100, "output": 10, "total": 110}),
    }
    found["names of the blob storage"] = ([snake], one)
    found["a page of the API"] = ([{"data": [observation("a", **details(100, 10))], "meta": {"page": 1}}], one)
    trace = {"id": "t-1", "timestamp": "2026-11-04T10:00:00.000Z", "name": "n"}
    whole = {"trace": trace, "observations": [observation("a", **details(100, 10))], "scores": [{"name": "q", "value": 1}]}
    found["a trace as one object"] = ([whole], one)
    found["lines that are wrong"] = (
        ["[", observation("a", **details(100, 10)), {**observation("b"), "startTime": "never"}],
        Sums(ai_calls=1, input=100, output=10, micro_usd=200, wrong=2),
    )
    return found


# -- Phoenix -------------------------------------------------------------------------------------------------------------------


def phoenix_span(number: int, kind: str = "LLM", *, parent: int | None = None, at: int = 0, **more: Any) -> Row:
    """A row of the API."""
    return {
        "id": f"U{number}",
        "name": more.pop("name", kind.lower()),
        "context": {"trace_id": TRACE, "span_id": f"{number:016x}"},
        "span_kind": kind,
        "parent_id": None if parent is None else f"{parent:016x}",
        "start_time": f"2026-11-05T10:00:{at:02d}+00:00",
        "end_time": f"2026-11-05T10:00:{at + 1:02d}.250000+00:00",
        "status_code": "OK",
        "status_message": "",
        "attributes": {},
        "events": [],
        **more,
    }


def _tokens(given: int, output: int) -> Row:
    return {"llm.model_name": "m-1", "llm.token_count.prompt": given, "llm.token_count.completion": output}


def _phoenix() -> dict[str, tuple[list[Row | str], Sums]]:
    found: dict[str, tuple[list[Row | str], Sums]] = {}
    one = Sums(ai_calls=1, input=100, output=10, micro_usd=200)
    found["one span"] = ([phoenix_span(1, attributes=_tokens(100, 10))], one)
    nested = {"llm": {"model_name": "m-1", "token_count": {"prompt": 100, "completion": 10}}}
    found["nested attributes"] = ([phoenix_span(1, attributes=nested)], one)
    cached = {
        "llm": {"model_name": "m-1", "token_count": {"prompt": 100, "completion": 10, "prompt_details": {"cache_read": 60}}}
    }
    found["cached tokens"] = (
        [phoenix_span(1, attributes=cached)],
        Sums(ai_calls=1, input=100, output=10, cached=60, micro_usd=146),
    )
    found["an agent with a tool"] = (
        [
            phoenix_span(1, "AGENT"),
            phoenix_span(2, parent=1, at=1, attributes=_tokens(100, 10)),
            phoenix_span(3, "TOOL", parent=1, at=3, attributes={"tool.name": "Read"}),
        ],
        Sums(ai_calls=1, tool_runs=1, input=100, output=10, micro_usd=200),
    )
    found["what failed"] = (
        [phoenix_span(1, "TOOL", status_code="ERROR", status_message="no")],
        Sums(tool_runs=1, failed=1),
    )
    frame = {
        "name": "llm",
        "context.trace_id": TRACE,
        "context.span_id": "0000000000000001",
        "span_kind": "LLM",
        "parent_id": None,
        "start_time": 1_793_872_800_000,
        "end_time": 1_793_872_801_000,
        **{f"attributes.{name}": value for name, value in _tokens(100, 10).items()},
        "attributes.input.value": None,
    }
    found["a row of the data frame"] = ([frame], one)
    found["a page of the API"] = ([{"data": [phoenix_span(1, attributes=_tokens(100, 10))], "next_cursor": None}], one)
    priced = {**_tokens(100, 10), "llm.cost.total": 0.25}
    found["a cost"] = ([phoenix_span(1, attributes=priced)], Sums(ai_calls=1, input=100, output=10, micro_usd=250_000))
    found["an embedding"] = (
        [phoenix_span(1, "EMBEDDING", attributes={"embedding.model_name": "m-1", "llm.token_count.prompt": 100})],
        Sums(ai_calls=1, input=100),
    )
    found["lines that are wrong"] = (
        ["}", phoenix_span(1, attributes=_tokens(100, 10)), {**phoenix_span(2), "start_time": None}],
        Sums(ai_calls=1, input=100, output=10, micro_usd=200, wrong=2),
    )
    return found


SAMPLES = {
    "claude-code": _claude(),
    "codex": _codex(),
    "messages": _messages(),
    "otlp": _otlp(),
    "langfuse": _langfuse(),
    "phoenix": _phoenix(),
}
