#!/usr/bin/env python3
"""A Claude Code that says what it is told to: speaks ``stream-json`` with claude-agent-sdk, or prints it.

The environment variable ``FAKE_CLAUDE`` names a file of JSON lines. Each line is written as it stands, but for
``{"fake": "exit", "code": 3}``, ``{"fake": "hang"}`` and ``{"fake": "wait"}`` (for the next user message).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

VERSION = "2.1.140 (Claude Code)"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def wait_for_user() -> bool:
    """Answer control requests until a user message comes; false at the end of the input."""
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("type") == "control_request":
            answer = {"subtype": "success", "request_id": message["request_id"], "response": {"commands": []}}
            say(json.dumps({"type": "control_response", "response": answer}))
        elif message.get("type") == "user":
            return True
    return False


def main() -> int:
    if "-v" in sys.argv or "--version" in sys.argv:
        say(VERSION)
        return 0
    if "--input-format" in sys.argv and not wait_for_user():
        return 0
    for line in Path(os.environ["FAKE_CLAUDE"]).read_text().splitlines():
        told = json.loads(line) if line.startswith('{"fake"') else {}
        if told.get("fake") == "exit":
            return int(told["code"])
        if told.get("fake") == "hang":
            time.sleep(600)
        elif told.get("fake") == "wait":
            if not wait_for_user():
                return 0
        else:
            say(line)
    wait_for_user()
    return 0


if __name__ == "__main__":
    sys.exit(main())
