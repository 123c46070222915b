"""Hides how tests write scripts and a registry, and how they see that nothing of them is left running."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

from otel_agentlog.tools import ToolExecutionService
from tests.support.waiting import wait_until

PATIENCE_S = 60.0


class Workshop:
    """A folder with scripts and their registry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, dict[str, Any]] = {}
        self.mark = uuid.uuid4().hex
        """Stands in the argv of every process that the scripts of this workshop start with `sleep`."""

    def script(self, name: str, text: str, *, mode: int = 0o755, **entry: Any) -> Path:
        """Write a script and enter it into the registry."""
        path = self.folder / f"{name}.script"
        path.write_text(text)
        path.chmod(mode)
        self.entries[name] = {"path": path.name, **entry}
        return path

    def python(self, name: str, code: str, **entry: Any) -> None:
        """Enter a Python program."""
        path = self.folder / f"{name}.py"
        path.write_text(code)
        self.entries[name] = {"argv": ["{python}", "-I", "-S", f"{{here}}/{name}.py"], **entry}

    def registry(self) -> Path:
        """Write ``registry.json``."""
        path = self.folder / "registry.json"
        path.write_text(json.dumps({"version": 1, "scripts": self.entries}))
        return path

    def service(self) -> ToolExecutionService:
        """A service on what was entered so far."""
        return ToolExecutionService(self.registry())


def processes_with(name: str, value: str) -> list[int]:
    """Ids of living processes that have this variable in their environment."""
    entry, found = f"{name}={value}".encode(), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(int(pid))
        except OSError:
            pass
    return found


def supervisors_of(pid: int) -> list[int]:
    """Children of a process that are supervisors and live."""
    found = []
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{other}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{other}/cmdline").read_bytes()
        except OSError:
            continue
        if int(stat[1]) == pid and stat[0] != "Z" and b"tools.process.supervisor" in command:
            found.append(int(other))
    return found


def wait_for_file(path: Path, what: str) -> str:
    """Its contents, as soon as there are any."""
    return wait_until(lambda: path.exists() and path.read_text(), what, timeout_s=PATIENCE_S)


def wait_until_gone(name: str, value: str) -> None:
    """Wait until no process has this variable."""
    wait_until(lambda: not processes_with(name, value), "every process to end", timeout_s=PATIENCE_S)
