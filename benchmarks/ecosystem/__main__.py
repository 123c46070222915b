"""Real libraries that trace themselves, or are traced by others, each in an environment of its own.

    python -m benchmarks.ecosystem                   everything; needs PyPI the first time, later some minutes
    python -m benchmarks.ecosystem langchain mcp     the programs whose name contains a word; `=mcp=` is the one
    python -m benchmarks.ecosystem --write           keep the rows in results.json, in the place of earlier ones

Environments are kept in ``$XDG_CACHE_HOME/agentlog-ecosystem`` (`uv` makes them where it is installed, else `venv` and `pip`).
What stands in the folder is compared with what the local provider (`provider.py`) was asked and answered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.ecosystem.programs import PROGRAMS, Program
from benchmarks.ecosystem.provider import CountingProvider
from otel_agentlog.query.questions import statistics
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.validation.report import Severity
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing.otlp.receiver import OtlpReceiver

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.json")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentlog-ecosystem"
TIMEOUT_S = 300


@dataclass
class Row:
    """What became of one program."""

    name: str
    what: str
    counted: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def environment(packages: tuple[str, ...]) -> Path:
    """The Python of an environment with these packages and this one, made if it is not there."""
    name = packages[0].partition("[")[0] + "-" + hashlib.sha256("\n".join(sorted(packages)).encode()).hexdigest()[:8]
    folder = CACHE / name
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    wanted = ["-e", f"{REPOSITORY}[prices]", *packages]
    uv = shutil.which("uv")
    making = [[sys.executable, "-m", "venv", "--clear", str(folder)], [str(python), "-m", "pip", "install", "-q", *wanted]]
    if uv is not None:
        making = [[uv, "venv", "-q", "--clear", str(folder)], [uv, "pip", "install", "-q", "--python", str(python), *wanted]]
    for command in making:
        subprocess.run(command, check=True)
    (folder / "ready").touch()
    return python


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """What is installed of them."""
    code = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    names = [name.partition("[")[0] for name in packages]
    done = subprocess.run([environment(packages), "-c", code, *names], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def attempt(program: Program, folder: Path) -> Row:
    """Run a program and compare."""
    row = Row(program.name, program.what)
    root = folder / program.name
    with CountingProvider() as provider, OtlpReceiver() as collector:
        env = {
            **os.environ,
            "AGENTLOG_LOG_DIR": str(folder / "logs"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_endpoint,
            "OTEL_METRICS_EXPORTER": "none",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        command = [
            environment(program.packages),
            "-m",
            "benchmarks.ecosystem.programs",
            program.name,
            root,
            provider.anthropic_url,
        ]
        done = subprocess.run(command, env=env, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_S)  # type: ignore[arg-type]
        (folder / f"{program.name}.txt").write_text(done.stdout + done.stderr)
        if done.returncode:
            row.wrong.append(f"exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
            return row
        said = json.loads(done.stdout.strip().splitlines()[-1])
        _compare(row, program, root, provider, said, collector)
    return row


def _compare(row: Row, program: Program, root: Path, provider: CountingProvider, said: Any, collector: OtlpReceiver) -> None:
    task, truth = find_task(root, "t"), provider.truth
    metrics = (task.final_result() or {})["metrics"]
    lines = list(task.events())
    calls = [line for line in lines if line["type"] == "ai_response" and "same_call_as" not in (line.get("details") or {})]
    models = {group.key for group in statistics(root, group_by="model").groups} - {None}
    row.counted = {key: metrics[key] for key in ("ai_calls", "tool_runs", "input_tokens", "output_tokens", "cost_usd")}
    row.counted |= {"models": sorted(map(str, models)), "spans": sum(line.get("phase") == "end" for line in lines)}
    row.counted["at the collector"] = len({span["span_id"] for span in collector.spans()})
    row.counted["failed calls"] = sum(bool(line.get("exception")) for line in calls)
    row.truth = {**asdict(truth), "models": sorted(truth.models), "tool_runs": said["tools"]}
    _judge(row, program)
    missing = set(program.spans) - {str(line.get("message")) for line in lines}
    row.wrong += [f"no span {name!r}" for name in sorted(missing)]
    if said["pending"]:
        row.wrong.append(f"{said['pending']} pending")
    # A library that never ends a span is told of in a warning.
    row.wrong += [str(problem) for problem in validate(task.folder).problems if problem.severity is Severity.ERROR][:3]


def _judge(row: Row, program: Program) -> None:
    counted, truth = row.counted, row.truth
    wanted = {"ai_calls": truth["requests"], "tool_runs": truth["tool_runs"], "failed calls": truth["refused"]}
    if program.tokens:
        wanted |= {key: truth[key] for key in ("input_tokens", "output_tokens")}
        if abs((counted["cost_usd"] or 0.0) - truth["cost_usd"]) > 1e-9:
            row.wrong.append(f"cost_usd {counted['cost_usd']} for {truth['cost_usd']:.6f}")
    row.wrong += [f"{key} {counted[key]} for {value}" for key, value in wanted.items() if (counted[key] or 0) != value]
    strange = {
        model for model in counted["models"] if model.rpartition("/")[2] not in {*truth["models"], "a model that nobody has"}
    }
    if strange:
        row.wrong.append(f"models {sorted(strange)}")
    if counted["at the collector"] < counted["spans"]:
        row.wrong.append(f"{counted['at the collector']} of {counted['spans']} spans at the collector")


def write(row: Row, program: Program) -> None:
    """Put a row into the kept table, in the place of an earlier one."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[row.name] = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "versions": versions(program.packages),
        **asdict(row),
    }
    RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def _shown(row: Row) -> str:
    calls, tools, tokens_in, tokens_out = (
        row.counted.get(key) for key in ("ai_calls", "tool_runs", "input_tokens", "output_tokens")
    )
    verdict = "WRONG" if row.wrong else "ok"
    return f"{verdict:<6}{row.name:<34}{calls!s:>4} calls {tools!s:>3} tools {f'{tokens_in}/{tokens_out}':>12}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--write", action="store_true", help=f"keep the rows in {RESULTS.name}")
    options = parser.parse_args()
    chosen = [each for each in PROGRAMS.values() if not options.words or any(word in f"={each.name}=" for word in options.words)]
    folder = Path(tempfile.mkdtemp(prefix="ecosystem-"))
    rows: list[Row] = []
    for program in chosen:
        try:
            row = attempt(program, folder)
        except Exception as error:
            row = Row(program.name, program.what, wrong=[f"{type(error).__name__}: {error}"[:300]])
        rows.append(row)
        print(_shown(row), flush=True)
        if options.write:
            write(row, program)
        for wrong in row.wrong:
            print(f"      - {wrong[:300]}")
    print(f"{sum(not row.wrong for row in rows)} of {len(rows)} right; {folder}")
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    sys.exit(main())
