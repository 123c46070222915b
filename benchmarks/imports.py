"""What it costs to import and configure the package, against importing the OpenTelemetry SDK: CPU seconds of a fresh process.

    python benchmarks/imports.py [rounds]

Prints the best of the rounds of each program, user and system time together, their difference and ratio.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile

PROGRAMS = {
    "python": "pass",
    "opentelemetry.sdk.trace": "import opentelemetry.sdk.trace",
    "otel_agentlog": "import otel_agentlog; otel_agentlog.task",
    "configure()": "import otel_agentlog; otel_agentlog.configure(console='off')",
}


def cpu_s(program: str, root: str) -> float:
    """CPU seconds of a process that runs `program` and ends without further ado."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "TASK_LOGS_DIR": root, "AGENTLOG_LOG_DIR": root, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", f"{program}\nimport os; os._exit(0)"], check=True, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, interleaved, and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as root:
        found = [{name: cpu_s(program, root) for name, program in PROGRAMS.items()} for _ in range(rounds)]
    best = {name: min(round_[name] for round_ in found) for name in PROGRAMS}
    for name, seconds in best.items():
        print(f"{name:25} {seconds * 1000:6.0f} ms")
    sdk, ours = best["opentelemetry.sdk.trace"], best["configure()"]
    print(f"configure() above the SDK {(ours - sdk) * 1000:6.0f} ms, ratio {ours / sdk:.2f}")


if __name__ == "__main__":
    main()
