"""Large parts of a text are kept once, by what they are: a conversation that repeats an image does not grow with its square."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader, with_artifacts
from otel_agentlog.store.folder.writer import MAX_VALUE_BYTES, MAX_WRITTEN_LINE_BYTES, long_pieces, spill
from otel_agentlog.store.validation.validate import validate

IMAGE = base64.b64encode(random.Random(1).randbytes(3 << 20)).decode()


def url_part(image: str) -> dict[str, Any]:
    """An image as OpenAI has it."""
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}


def source_part(image: str) -> dict[str, Any]:
    """An image as Anthropic has it."""
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image}}


@pytest.mark.parametrize("part", [url_part, source_part])
def test_an_image_in_every_turn_is_kept_once(part: Any, tmp_path: Path) -> None:
    """Six turns of a conversation take one image and a little for each turn, and each is read back as it was sent."""
    agentlog.configure(directory=tmp_path / "t", log_directory=tmp_path / "l", console="off", content="full")
    try:
        conversation: list[dict[str, Any]] = []
        with agentlog.task("t") as task:
            for turn in range(6):
                conversation.append({"role": "user", "content": [part(IMAGE), {"type": "text", "text": f"turn {turn}"}]})
                with agentlog.ai_call("m", provider="openai", messages=conversation):
                    pass
        folder = task.folder
    finally:
        agentlog.shutdown()
    assert folder is not None
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < len(IMAGE) * 1.1
    assert len(list((folder / "artifacts").iterdir())) == 1
    assert validate(folder).errors == 0
    reader = TaskReader(folder)
    calls = [with_artifacts(line, reader) for line in reader.events() if line["type"] == "ai_request"]
    for turn, line in enumerate(calls):
        sent = json.loads(line["attributes"]["gen_ai.input.messages"])
        assert len(sent) == turn + 1
        assert json.dumps(sent).count(IMAGE[:1000]) == turn + 1


class Store:
    """Artifacts in memory, with the one method of a `TaskReader` that putting them back needs."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def keep(self, data: bytes) -> str:
        """Keep an artifact; its name."""
        name = hashlib.sha256(data).hexdigest()
        self.kept[name] = data
        return name

    def artifact(self, name: str) -> Iterator[bytes]:
        """Its pieces."""
        yield self.kept[name]


LONG = MAX_VALUE_BYTES + 10
TEXTS = {
    "one long text": json.dumps(["x" * LONG]),
    "many": json.dumps([{"a": "x" * LONG, "b": "short", "c": "y" * LONG}] * 20),
    "escapes": json.dumps(['quote " and \\ and \n' * LONG, "ü€" * LONG]),
    "no JSON": '{"' + "x" * LONG + '"' + '\\"' * LONG,
    "no end": '["' + "x" * 3 * LONG,
    "only quotes": "[" + '"' * 4 * LONG,
    "a user's tag": json.dumps({"$parts": ["x" * LONG, "y"]}),
    "lists": "[" * 10 + "1," * LONG,
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_in_parts_is_read_as_it_was(name: str) -> None:
    """Whatever a text looks like, what is put together again is the same text, and the line is short."""
    store, text = Store(), TEXTS[name]
    line = {"timestamp": "2026-11-28T12:00:00.000000000Z", "type": "log", "attributes": {"a": text}, "details": {"b": [text]}}

    short = spill(dict(line), store.keep)

    assert len(json.dumps(short)) < MAX_WRITTEN_LINE_BYTES
    assert with_artifacts(short, store) == line  # type: ignore[arg-type]  # all that is asked of a reader


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 100, MAX_VALUE_BYTES // 2, MAX_VALUE_BYTES - 1, MAX_VALUE_BYTES, MAX_VALUE_BYTES * 2 + 7]),
            st.sampled_from(["", '"', '""']),
        ),
        max_size=12,
    )
)
def test_long_pieces_are_what_lies_between_quotes(parts: list[tuple[int, str]]) -> None:
    """The same as a regular expression finds."""
    text = "".join("x" * length + quotes for length, quotes in parts)
    expected = [(found.start() + 1, found.end()) for found in re.finditer(f'"[^"]{{{MAX_VALUE_BYTES},}}', text)]

    assert list(long_pieces(text)) == expected


def test_a_users_own_object_of_that_form_stays_one(tmp_path: Path) -> None:
    """``{"$parts": …}`` of a user gets one more dollar sign, as all tags do."""
    agentlog.configure(directory=tmp_path / "t", log_directory=tmp_path / "l", console="off")
    try:
        with agentlog.task("t") as task:
            agentlog.get_logger("x").info("m", value={"$parts": ["a", "b"]})
        assert task.folder is not None
        line = next(line for line in TaskReader(task.folder).events() if line["type"] == "log")
    finally:
        agentlog.shutdown()
    assert line["details"]["value"] == {"$$parts": ["a", "b"]}


def test_an_artifact_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    """The same payload in another line costs no second write."""
    agentlog.configure(directory=tmp_path / "t", log_directory=tmp_path / "l", console="off")
    try:
        with agentlog.task("t") as task:
            task.output("x" * (1 << 20))
            assert task.folder is not None
            (path,) = (task.folder / "artifacts").iterdir()
            before = os.stat(path)
            task.output("x" * (1 << 20))
            assert os.stat(path).st_ino == before.st_ino
    finally:
        agentlog.shutdown()
