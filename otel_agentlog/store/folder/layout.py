"""The spelling of a task folder: file names, modes, ids, times and the bytes of a line.

The format is specified in ``docs/format.md``. Nothing here touches the disk.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from otel_agentlog.vocabulary.lines import parse_timestamp as parse_timestamp
from otel_agentlog.vocabulary.lines import timestamp

METADATA = "metadata.json"
INPUT = "01-input.json"
WEBHOOK_FLOW = "02-webhook-flow.jsonl"
AGENT_OUTPUT = "03-agent-output.jsonl"
FINAL_RESULT = "04-final-result.json"
CONTROL = "control.jsonl"
ARTIFACTS = "artifacts"

DOCUMENTS = (METADATA, INPUT, FINAL_RESULT)
"""Files that hold one JSON object and are replaced as a whole."""

LINE_FILES = (WEBHOOK_FLOW, AGENT_OUTPUT, CONTROL)
"""Files that hold one JSON object a line and are only appended to."""

LINE_FILE_NAMES = {"webhook-flow": WEBHOOK_FLOW, "agent-output": AGENT_OUTPUT, "control": CONTROL}
"""The same by what the page and live streams call them."""

GZIP_SUFFIX = ".gz"
"""Any file of the folder may be stored compressed under its name with this suffix."""

FOLDER_MODE = 0o700
FILE_MODE = 0o600

RECORD_PREFIX = b'{"timestamp":"'
"""How every record begins; a whole record glued behind a torn one is found again by it."""

TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
"""A task id that is a folder name as it is (with `fullmatch`; a few reserved ones aside)."""

ARTIFACT_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
"""An artifact is named by the SHA-256 of its bytes, in hex."""

NAME_CANDIDATES = 4
"""How many folder names `folder_names` offers for one id."""

_MAPPED = re.compile(r".*-x[0-9a-f]{24}", re.ASCII | re.IGNORECASE)
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.ASCII | re.IGNORECASE)
_OWN_NAMES = frozenset(name + suffix for name in (*DOCUMENTS, *LINE_FILES, ARTIFACTS) for suffix in ("", GZIP_SUFFIX))
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_SLUG_LENGTH = 64

_TEMP = re.compile(r"\.(?P<name>.+)\.[A-Za-z0-9]+\.tmp", re.ASCII)


def temp_name(name: str, tag: str) -> str:
    """Return the name under which writer `tag` (letters and digits) prepares file `name` in the same folder."""
    return f".{name}.{tag}.tmp"


def is_temp_name(name: str) -> bool:
    """Whether `name` has the form of `temp_name`."""
    return _TEMP.fullmatch(name) is not None


def new_task_id() -> str:
    """Return a fresh task id, ``task-`` and 12 hex digits; safe after a fork."""
    return f"task-{os.urandom(6).hex()}"


def folder_name(task_id: str) -> str:
    """Return the folder name of a task: the id itself if it is safe, else a readable slug and a hash of the id.

    The result matches `TASK_ID`, is never ``.`` or ``..`` and at most 128 bytes long. Two ids never share a name, not
    even under NFC and case folding, except two safe ids that differ in case only: on a disk that folds case the second
    one takes the next of `folder_names`.
    """
    return task_id if _is_plain(task_id) else _mapped_name(task_id, 0)


def folder_names(task_id: str) -> Iterator[str]:
    """Yield the names a task's folder may have, in the order in which a writer takes and a reader tries them.

    The later ones are for the case that the earlier folder exists and its ``metadata.json`` names another id.
    """
    yield folder_name(task_id)
    for attempt in range(1, NAME_CANDIDATES):
        yield _mapped_name(task_id, attempt)


def _is_plain(task_id: str) -> bool:
    """Whether an id can be a folder name: safe letters, and no name that means something else somewhere."""
    if TASK_ID.fullmatch(task_id) is None or _MAPPED.fullmatch(task_id):
        return False
    if task_id.endswith(".") or _DEVICE.fullmatch(task_id):
        return False
    return task_id.lower() not in _OWN_NAMES


def _mapped_name(task_id: str, attempt: int) -> str:
    import hashlib  # loads OpenSSL, which costs as much as ten of our modules and is seldom needed

    # surrogatepass: an id read from a file name may hold lone surrogates, and they must distinguish two ids.
    seed = f"{attempt}\0{task_id}" if attempt else task_id
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    ascii_text = unicodedata.normalize("NFKD", task_id[:256]).encode("ascii", "ignore").decode("ascii")
    slug = _UNSAFE.sub("-", ascii_text).strip("-._")[:_SLUG_LENGTH]
    return f"{slug or 'task'}-x{digest}"


def now() -> str:
    """Return the present time as `timestamp` writes it."""
    return timestamp(time.time_ns())


def encode_document(document: Mapping[str, Any]) -> bytes:
    """Return a whole file's JSON object: compact, ended by a newline. Raises `TypeError` like `encode`."""
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
