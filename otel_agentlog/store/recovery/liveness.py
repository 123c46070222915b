"""Hides how one tells whether the process that wrote some lines may still be at work.

The lock on the folder says it first. This is the second opinion, for what the lock cannot say: a process that ran out of
descriptors lets go of folders it still works in, some file systems have no locks, and on a network disk the lock of a folder is
known to its own machine only. When in doubt, somebody is at work.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.vocabulary.coerce import text

QUIET_S = 10.0
"""How long, in seconds, nothing must have been written where there are no locks."""

FOREIGN_QUIET_S = 3600.0
"""How long, in seconds, nothing must have been written by a process of another machine on a network disk."""

_CLOCK_SLACK_S = 2.0
_NETWORK = re.compile(r"nfs\d?|cifs|smb\w*|9p|ceph|lustre|glusterfs|afs|gfs2|ocfs2|beegfs|fuse\..*")


def may_be_alive(process: Mapping[str, Any]) -> bool:
    """Whether the process of a process line, if it ran on this machine, may still be running."""
    pid = process.get("pid")
    if type(pid) is not int or pid <= 0 or text(process, "host") != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return not _is_another(pid, process)


def _is_another(pid: int, process: Mapping[str, Any]) -> bool:
    """Whether the process that has this number now is dead too, or began after the line was written."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        state, started_ticks = fields[0], int(fields[19])
        written_s = parse_timestamp(text(process, "timestamp") or "") / 1e9
    except FileNotFoundError:
        # Ended since we asked, or a system without /proc.
        return os.path.exists("/proc/self/stat")
    except (OSError, ValueError, IndexError):
        return False
    since_start_s = time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")
    return state in "ZX" or time.time() - since_start_s > written_s + _CLOCK_SLACK_S


def is_foreign(process: Mapping[str, Any]) -> bool:
    """Whether a process line comes from another machine, or does not say."""
    return text(process, "host") != socket.gethostname()


def on_network_disk(fd: int) -> bool:
    """Whether an open file or folder lies on a disk that several machines may share. Only Linux knows."""
    device = os.fstat(fd).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    for mount in mounts.splitlines():
        before, _, after = mount.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return _NETWORK.fullmatch(after.split()[0]) is not None
    return False
