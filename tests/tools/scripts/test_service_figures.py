"""What an execution used, beside what the kernel says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_agentlog.tools import ToolResult
from tests.tools.workshop import Workshop

pytestmark = pytest.mark.usefixtures("marked")

REPORT = """
import json, os, resource
def report(who):
    used = resource.getrusage(who)
    print(json.dumps({"user": used.ru_utime, "system": used.ru_stime, "peak_kb": used.ru_maxrss}), flush=True)
"""
FLOOR_S, FLOOR_MB = 0.05, 2.0
"""What an interpreter still uses after its last report; below that 10 % is no measure."""


def assert_near(found: float | None, kernel: float, floor: float) -> None:
    """Within 10 % of what the kernel says, or within the floor."""
    assert found is not None
    assert abs(found - kernel) <= max(0.1 * kernel, floor), (found, kernel)


def reported(result: ToolResult) -> list[dict[str, Any]]:
    """What the script printed about itself."""
    assert result.success, result.stderr
    return [json.loads(line) for line in result.output.splitlines()]


def test_figures_of_one_process(workshop: Workshop) -> None:
    """CPU and peak memory are within 10 % of the process's own ``getrusage``."""
    workshop.python(
        "busy",
        REPORT + "import time; time.sleep(0.5)\n"  # the first sample is of the start
        "data = bytearray(b'x') * (120 << 20)\n"
        "total = sum(i * i for i in range(6_000_000))\n"
        "report(resource.RUSAGE_SELF)\n",
    )

    result = workshop.service().execute("busy")

    (own,) = reported(result)
    usage = result.resource_usage
    assert_near(usage.cpu_s, own["user"] + own["system"], FLOOR_S)
    assert_near(usage.memory_peak_mb, own["peak_kb"] * 1024 / 1e6, FLOOR_MB)
    assert usage.memory_start_mb is not None
    assert usage.memory_start_mb < 50
    assert usage.memory_end_mb is not None
    assert usage.wall_s >= usage.cpu_s * 0.5


def test_bytes_written_to_disks(workshop: Workshop) -> None:
    """What the kernel counts for the script and a child it waited for; nothing where their files are in memory."""
    workshop.python(
        "writer",
        "import os\n"
        "def write(name):\n"
        "    with open(name, 'wb') as file:\n"
        "        file.write(b'x' * 3_000_000)\n"
        "        os.fsync(file.fileno())\n"
        "child = os.fork() or (write('a'), os._exit(0))\n"
        "os.waitpid(child, 0)\n"
        "write('b')\n"
        "print(next(line for line in open('/proc/self/io') if line.startswith('write_bytes')))\n",
    )

    result = workshop.service().execute("writer")

    assert result.success, result.stderr
    assert_near(result.resource_usage.disk_written_mb, int(result.output.split()[1]) / 1e6, 0.1)


def test_cpu_of_children_counts_whoever_waits_for_them(workshop: Workshop) -> None:
    """Of children that were waited for and of orphans in a session of their own: all of it."""
    workshop.python(
        "family",
        REPORT + "import time\n"
        "def work():\n"
        "    sum(i * i for i in range(2_000_000))\n"
        "    report(resource.RUSAGE_SELF)\n"
        "    os._exit(0)\n"
        "waited = os.fork() or work()\n"
        "os.waitpid(waited, 0)\n"
        "told, tell = os.pipe()\n"
        "middle = os.fork()\n"
        "if middle == 0:\n"
        "    os.setsid()\n"
        "    os.fork() or work()\n"
        "    os._exit(0)\n"
        "os.close(tell)\n"
        "os.read(told, 1)  # the end of the file: the orphan has ended\n"
        "report(resource.RUSAGE_SELF)\n",
    )

    result = workshop.service().execute("family")

    parts = reported(result)
    assert len(parts) == 3
    assert_near(result.resource_usage.cpu_s, sum(part["user"] + part["system"] for part in parts), 2 * FLOOR_S)


def test_memory_of_processes_that_share_pages_is_not_counted_twice(workshop: Workshop) -> None:
    """A parent of 120 MB with three children that share it is 120 MB, not 480."""
    workshop.python(
        "shared",
        REPORT + "import time\n"
        "data = bytearray(b'x') * (120 << 20)\n"
        "children = [os.fork() or (time.sleep(600), os._exit(0)) for _ in range(3)]\n"
        "time.sleep(1.5)  # long enough to be looked at\n"
        "report(resource.RUSAGE_SELF)\n",
    )

    result = workshop.service().execute("shared")

    (own,) = reported(result)
    assert_near(result.resource_usage.memory_peak_mb, own["peak_kb"] * 1024 / 1e6, 15.0)
    assert result.resource_usage.peak_processes == 4


def test_memory_of_processes_side_by_side_adds_up(workshop: Workshop) -> None:
    """Three children with 50 MB of their own are 150 MB at their peak."""
    workshop.python(
        "apart",
        "import os, time\n"
        "told, tell = os.pipe()\n"
        "def child():\n"
        "    data = bytearray(b'x') * (50 << 20)\n"
        "    os.write(tell, b'x')\n"
        "    time.sleep(600)\n"
        "children = [os.fork() or child() for _ in range(3)]\n"
        "for each in children: os.read(told, 1)\n"
        "time.sleep(1.5)  # long enough to be looked at\n",
    )

    usage = workshop.service().execute("apart").resource_usage

    assert_near(usage.memory_peak_mb, 158 * 1024 * 1024 / 1e6, 15.0)
