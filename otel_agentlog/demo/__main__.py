"""``agentlog demo [PATH]``, also ``python -m otel_agentlog.demo``: runs the gateway here, the worker as a second process, and
prints how it went. What it prints comes from the task's folder, which is plain JSON."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import otel_agentlog as agentlog
from otel_agentlog.demo import gateway, models, offline, worker
from otel_agentlog.demo.job import Job, read_json
from otel_agentlog.demo.survey import printable

USAGE_ERROR = 2
"""Exit code for a command line, a setting or an environment that cannot be used."""

LONGEST_GOODBYE_S = 15.0
"""How long a worker may take to end after Ctrl-C, in seconds; it may have things to send."""


class _UsageError(Exception):
    """Its message has what was expected and what was found."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see agentlog demo --help")


def main(argv: list[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 if the task completed, 1 if it failed, 2 if it could not begin, 3 if it was cancelled, 130 if it was interrupted.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed by whoever started this
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for good
    try:
        options = _parser().parse_args(argv)
        job = _job(options)
        models.check(job.provider, os.environ)
        settings = agentlog.configure(service_name=gateway.SERVICE_NAME, directory=job.root, prices=offline.DEMO_PRICES)
    except (_UsageError, models.ProviderUnavailableError, agentlog.ConfigurationError) as error:
        sys.stderr.write(f"agentlog demo: {error}\n")
        return USAGE_ERROR
    try:
        with tempfile.TemporaryDirectory(prefix="agentlog-demo-", ignore_cleanup_errors=True) as scratch:
            return _run(job, settings, scratch, as_json=options.json)
    except KeyboardInterrupt:
        return worker.INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="agentlog demo",
        allow_abbrev=False,
        description="Run a small real agent over a directory and record it: in through a webhook, on in a second process. "
        "It never writes into the directory, and needs no network, no key and no server.",
    )
    add = parser.add_argument
    add("path", nargs="?", metavar="PATH", help="the directory to review (default: the installed package)")
    add("--provider", choices=models.PROVIDERS, default=models.PROVIDERS[0], help="whose model (default: %(default)s)")
    add("--model", metavar="M", help="which model (default: a small one of the provider)")
    add("--message", metavar="TEXT", default="Is this directory in good shape?", help="what the comment asks")
    slow = "with waits to watch and to step in (agentlog pause, context, resume, cancel), about a minute"
    add("--slow", action="store_true", help=slow)
    add("--seed", type=int, default=0, metavar="N", help="another N, another choice of files to read")
    add("--root", metavar="DIR", help="where task folders go (default: TASK_LOGS_DIR or the user's state directory)")
    add("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def _job(options: argparse.Namespace) -> Job:
    path = os.path.abspath(options.path or os.path.dirname(agentlog.__file__))
    if not os.path.isdir(path):
        found = "a file" if os.path.exists(path) else "nothing"
        raise _UsageError(f"PATH: expected a directory, found {found} at {printable(path)}")
    return Job(
        path=path,
        message=options.message,
        provider=options.provider,
        model=options.model or models.DEFAULT_NAMES[options.provider],
        slow=options.slow,
        seed=options.seed,
        root=str(Path(options.root).absolute()) if options.root else None,
    )


def _run(job: Job, settings: agentlog.Settings, scratch: str, *, as_json: bool) -> int:
    if not as_json:
        _say(f"Reviewing {printable(job.path)} with {job.provider} {job.model} …\n")
    job.write(scratch)
    task_id, trace_id, carrier = gateway.receive(job)
    code, worker_pid = _run_worker(scratch, _environment(carrier), quiet=as_json)
    report = _document(scratch, worker.REPORT)
    run = {
        **_recorded(job, settings, task_id, trace_id),
        "error": report.get("error"),
        "processes": {"gateway": os.getpid(), "worker": worker_pid},
        "receipts": {"gateway": asdict(agentlog.flush()), "worker": report.get("receipt")},
    }
    if not os.path.isdir(run["folder"]):
        sys.stderr.write(f"agentlog demo: nothing was recorded; expected a directory that can be written at {run['root']}\n")
        return worker.FAILED
    if as_json:
        sys.stdout.write(json.dumps(run) + "\n")
    else:
        _say(_outcome(run))
        show = python_command("otel_agentlog", "show", task_id, "--root", run["root"])
        subprocess.run(show, env=_environment({}), stdin=subprocess.DEVNULL, check=False)  # noqa: S603 - our own command line
        _say(_details(run))
    # The code of a worker that a signal ended is negative.
    return code if code >= 0 else worker.INTERRUPTED


def _recorded(job: Job, settings: agentlog.Settings, task_id: str, trace_id: str) -> dict[str, Any]:
    """The run as the task's folder has it."""
    folder = settings.directory / task_id
    final = _document(folder, "04-final-result.json")
    links = {"jaeger": f"http://localhost:16686/trace/{trace_id}", "grafana": "http://localhost:3000"}
    return {
        "task_id": task_id,
        "trace_id": trace_id,
        "folder": str(folder),
        "root": str(settings.directory),
        "directory": printable(job.path),
        "status": _document(folder, "metadata.json").get("status"),
        "success": final.get("success", False),
        "result": final.get("result"),
        "metrics": final.get("metrics"),
        "model": {"provider": job.provider, "name": job.model, "demo_price": job.provider == offline.PROVIDER},
        "sub_tasks": _sub_tasks(folder),
        "look": links if settings.exporter("traces") == "otlp" else None,
    }


def _document(directory: str | Path, name: str) -> dict[str, Any]:
    try:
        return read_json(directory, name)
    except (OSError, ValueError):
        return {}


def _sub_tasks(folder: Path) -> list[dict[str, Any]]:
    """The sub-tasks, from the lines that point to their folders, in the order they ended."""
    try:
        lines = (folder / "03-agent-output.jsonl").read_bytes().split(b"\n")
    except OSError:
        return []
    ended = [json.loads(line)["details"] for line in lines if b'"subtask_ended"' in line]
    return [{**details, "folder": str(folder.parent / details["task_id"])} for details in ended]


def _say(text: str) -> None:
    """Print text for a terminal of any encoding. A model's text may hold control characters: they are left out."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = "".join(c for c in text if c.isprintable() or c in "\n\t")
    sys.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _environment(carrier: Mapping[str, str]) -> dict[str, str]:
    """Our environment with the carrier in place of any that we were started with."""
    kept = {name: value for name, value in os.environ.items() if name not in ("TRACEPARENT", "TRACESTATE", "BAGGAGE")}
    return {**kept, **{name.upper(): value for name, value in carrier.items()}}


_PROGRAM = """import sys
sys.path[:] = {path!a}
import runpy
try:
    runpy.run_module({module!a}, {{}}, "__main__", True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module as ``python -m`` does, but with the module path of this process.

    ``python -m`` searches the working directory first, and that may be the very directory under review. Ctrl-C during the
    module's imports ends it without a traceback.
    """
    return [sys.executable, "-c", _PROGRAM.format(path=sys.path, module=module), *arguments]


def _run_worker(scratch: str, environment: dict[str, str], *, quiet: bool) -> tuple[int, int]:
    """Run the worker to its end; returns its exit code and process id. Ctrl-C is passed on to it, once."""
    # In a session of its own: the terminal's Ctrl-C would reach the worker, and then we would pass it on a second time.
    process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
        python_command("otel_agentlog.demo.worker", scratch),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=2 if quiet else None,  # 2: stderr
        start_new_session=True,
    )
    try:
        return process.wait(), process.pid
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(LONGEST_GOODBYE_S), process.pid
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        process.kill()
        return process.wait(), process.pid


_OUTCOMES = {
    "pending": "The task is still pending: no worker took it.",
    "running": "The worker ended before the task did.",
    **{status: f"The task {status}." for status in ("completed", "failed")},
    **{status: f"The task was {status}." for status in ("cancelled", "interrupted")},
}
"""The first line for people, by the task's status."""


def _outcome(run: dict[str, Any]) -> str:
    status = run["status"] or "unknown"
    lines = [_OUTCOMES.get(status, f"The task is {status}."), *([run["error"]] if run["error"] else [])]
    return "\n" + "\n".join(lines) + (f"\n\n{run['result']}\n\n" if run["result"] else "\n\n")


def _details(run: dict[str, Any]) -> str:
    pids, links, root = run["processes"], run["look"], shlex.quote(run["root"])
    deliveries = [_delivery(name, receipt) for name, receipt in run["receipts"].items()]
    if not links:
        deliveries.append("no collector is set, so nothing was sent: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318")
    sections = {
        **(_figures(run["model"], run["metrics"]) if run["metrics"] else {}),
        "Processes": [f"gateway {pids['gateway']}, worker {pids['worker']}: one folder, one trace"],
        "Folder": [run["folder"], *(f"{each['folder']} ({each['name']}: {each['outcome']})" for each in run["sub_tasks"])],
        "Look again": [
            f"agentlog show {run['task_id']} --root {root}",
            f"agentlog monitor --root {root}",
            f"agentlog serve --open --root {root}",
        ],
        "Trace": [run["trace_id"], links["jaeger"], links["grafana"]] if links else [],
        "Delivery": deliveries,
    }
    rows = [(title if n == 0 else "", line) for title, lines in sections.items() for n, line in enumerate(lines)]
    return "\n" + "".join(f"{title:<12}{line}\n" for title, line in rows)


def _figures(model: dict[str, Any], metrics: dict[str, Any]) -> dict[str, list[str]]:
    cost, price = metrics["cost_usd"], " at a demo price; nobody is charged" if model["demo_price"] else ""
    tokens = (
        f"{metrics['input_tokens']:,} tokens in ({metrics['cache_read_input_tokens']:,} cached), {metrics['output_tokens']:,} out"
    )
    counts = (
        f"steps {metrics['steps']}, tool runs {metrics['tool_runs']}, retries {metrics['retries']}, errors {metrics['errors']}"
    )
    return {
        "Model": [f"{model['provider']} {model['name']}: {metrics['ai_calls']} calls, {tokens}"],
        "Cost": ["unknown" if cost is None else f"{cost:.6f} USD{price}"],
        "Work": [f"{counts}, {metrics['duration_seconds']:.1f} s"],
    }


def _delivery(name: str, receipt: dict[str, Any] | None) -> str:
    if not receipt:
        return f"{name}: no receipt"
    late = "" if receipt["in_time"] else "; not all in time, the rest stays in the folder"
    return f"{name}: recorded {receipt['recorded']}, delivered {receipt['delivered']}, pending {receipt['pending']}{late}"


if __name__ == "__main__":
    sys.exit(main())
