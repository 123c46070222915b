"""A conversation with everything that models say: Markdown, code, tables, an image, tool calls; in three tasks of one session."""

from __future__ import annotations

import base64
import struct
import zlib

import otel_agentlog as agentlog

ANSWER = '''# Verdict

The change is **mostly fine**; see `cache.py` and [the docs](https://example.org/x).

| file | finding | severity |
|---|---|---|
| a.py | a leak | high |
| b.py | *nothing* | – |

1. First do this
   - and that
2. Then that

```python
def cached(key: str, *, ttl: int = 60) -> bytes:
    """Return the value."""
    # not there: compute
    return store.get(key) or compute(key, "x")
```

> Quoted words.
'''


def picture(side: int = 64) -> bytes:
    """A small PNG."""
    rows = b"".join(b"\0" + b"".join(bytes((x * 4 % 256, y * 4 % 256, 128)) for x in range(side)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def talk() -> None:
    """Record the session ``sess-71``; its first task is ``task-talk``."""
    image = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(picture()).decode()}
    question: list[dict[str, object]] = [{"type": "text", "text": "What is on this picture?"}, {"type": "image", "source": image}]
    answer = {"type": "message", "role": "assistant", "model": "claude-opus-4-5", "stop_reason": "tool_use"}
    answer |= {"content": [{"type": "text", "text": ANSWER}], "usage": {"input_tokens": 1200, "output_tokens": 850}}  # type: ignore[dict-item]
    for number in range(3):
        task_id = f"task-talk{number or ''}"
        kept = {"session_id": "sess-71", "agent": "chat", "tags": ["demo", "prod"], "task_id": task_id}
        with agentlog.task(f"Chat turn {number}", input={"message": f"question {number}"}, **kept) as task:  # type: ignore[arg-type]
            with agentlog.step("answer"):
                with agentlog.ai_call("claude-opus-4-5", messages=[{"role": "user", "content": question}]) as call:
                    call.record(answer)
                with agentlog.tool(
                    "Query", arguments={"sql": "select 1", "options": {"deep": {"er": [1, 2, {"x": "y"}]}}}
                ) as run:
                    run.attempt_failed(OSError("the database is busy"), wait_seconds=0.1)
                    run.result = {"rows": [{"id": each, "name": f"n{each}", "tags": ["a", "b"]} for each in range(150)]}
            task.output(ANSWER)
            task.result = ANSWER
