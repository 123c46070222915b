"""How fast `agentlog collect` acknowledges, what that costs, and whether `kill -9` loses anything that it acknowledged.

Spans come in requests of 500, in traces of 50, from a process with two threads. As all share the machine, what counts is the CPU
of the receiving process and of the filing one by the span, and the ratio of the first to making plain dicts of the same bytes
(`otel_agentlog.testing.otlp.decode`), measured in the same minute.

    python -m benchmarks.collect                    100,000 spans
    python -m benchmarks.collect --kills 100        killed a hundred times; the figure of lost ones must be 0
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing.otlp.decode import decode_request
from tests.support.receiving import RunningCollect, trace_body

TRACE_SPANS, REQUEST_TRACES, THREADS = 50, 10, 2
LONGEST_LIFE_S = 1.5


def _cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _send(url: str, bodies: list[bytes], times_s: list[float]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    for body in bodies:
        began = time.perf_counter()
        while True:
            connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                break
            time.sleep(0.5)
        times_s.append(time.perf_counter() - began)
    connection.close()


def rate(spans: int) -> dict[str, float]:
    """Send so many spans, wait until they are filed, and say what it took."""
    count = spans // (TRACE_SPANS * REQUEST_TRACES)
    bodies = [
        b"".join(trace_body(1 + number * REQUEST_TRACES + each, TRACE_SPANS) for each in range(REQUEST_TRACES))
        for number in range(count)
    ]
    spans = count * TRACE_SPANS * REQUEST_TRACES
    began = time.process_time()
    for body in bodies:
        decode_request(ExportTraceServiceRequest.FromString(body))
    bare_s = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder, RunningCollect(Path(folder) / "c") as running:
        (filer,) = _children(running.pid)
        before_s, filer_before_s = _cpu_s(running.pid), _cpu_s(filer)
        times_s: list[float] = []
        threads = [threading.Thread(target=_send, args=(running.url, bodies[each::THREADS], times_s)) for each in range(THREADS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        used_s = _cpu_s(running.pid) - before_s
        wanted = count * REQUEST_TRACES
        while sum(1 for _ in list_tasks(running.root)) < wanted:
            time.sleep(0.2)
        filed_s = time.perf_counter() - began
        filer_s = _cpu_s(filer) - filer_before_s
        peak_kib = next(
            int(line.split()[1])
            for line in Path(f"/proc/{running.pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
    times_s.sort()
    return {
        "spans": spans,
        "acknowledged_per_s": round(spans / seconds),
        "filed_per_s": round(spans / filed_s),
        "receiving_us_per_span": round(used_s / spans * 1e6, 1),
        "filing_us_per_span": round(filer_s / spans * 1e6, 1),
        "receiving_to_plain_dicts": round(used_s / bare_s, 1) if bare_s else 0.0,
        "median_answer_ms": round(times_s[len(times_s) // 2] * 1e3, 1),
        "slowest_answer_ms": round(times_s[-1] * 1e3, 1),
        "receiver_peak_mib": peak_kib // 1024,
    }


def _send_until_it_fails(running: RunningCollect, first: int, acknowledged: set[int]) -> None:
    try:
        while running.post(trace_body(first), timeout_s=20)[0] == 200:
            acknowledged.add(first)
            first += 1
    except (OSError, http.client.HTTPException):
        return


def kills(count: int) -> dict[str, object]:
    """Kill it so often while two threads send, and look for every trace that was acknowledged."""
    acknowledged: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        running = RunningCollect(Path(folder) / "c")
        for number in range(count):
            running.start()
            threads = [
                threading.Thread(target=_send_until_it_fails, args=(running, 1 + (number * 2 + each) * 10_000, acknowledged))
                for each in range(THREADS)
            ]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0, LONGEST_LIFE_S))
            running.kill()
            for thread in threads:
                thread.join()
        subprocess.run(
            [sys.executable, "-m", "otel_agentlog", "--root", str(running.root), "recover"], check=True, stdout=subprocess.DEVNULL
        )
        tasks = list(list_tasks(running.root))
        ends = {
            task.task_id: [line["span_id"] for line in task.events() if line.get("phase") == "end" and line["type"] != "task"]
            for task in tasks
        }
        invalid = [task.task_id for task in tasks if validate(task.folder).problems]
    wanted = {f"trace-{trace:032x}" for trace in acknowledged}
    return {
        "kills": count,
        "acknowledged_traces": len(wanted),
        "lost": len([name for name in wanted if len(set(ends.get(name, ()))) < 3]),
        "doubled": len([name for name, found in ends.items() if len(found) > len(set(found))]),
        "invalid": len(invalid),
    }


def main() -> int:
    """Print the figures as JSON; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=0)
    options = parser.parse_args()
    if options.kills:
        found = kills(options.kills)
        print(json.dumps(found))
        return int(bool(found["lost"] or found["doubled"] or found["invalid"]))
    print(json.dumps(rate(options.spans)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
