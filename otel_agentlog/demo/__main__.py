"""``agentlog demo [PATH]``: also ``python -m otel_agentlog.demo``. Hides how a run's two processes come together."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import otel_agentlog as agentlog
from otel_agentlog.demo import gateway, models, processes, summary, worker
from otel_agentlog.demo.job import Job, write_job
from otel_agentlog.demo.survey import printable

USAGE_ERROR = 2
"""Exit code for a command line, a setting or an environment that cannot be used."""


class _UsageError(Exception):
    """Says what was expected and what was found."""


def main(argv: list[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 if the task completed, 1 if it failed, 2 if it could not begin, 3 if it was cancelled, 130 if it was interrupted.
    """
    try:
        options = _parser().parse_args(argv)
        job = _job(options)
        models.check(job.provider, os.environ)
        settings = agentlog.configure(service_name=gateway.SERVICE_NAME, **job.settings())
    except (_UsageError, models.ProviderUnavailableError, agentlog.ConfigurationError) as error:
        sys.stderr.write(f"agentlog demo: {error}\n")
        return USAGE_ERROR
    try:
        with tempfile.TemporaryDirectory(prefix="agentlog-demo-", ignore_cleanup_errors=True) as scratch:
            return _run(job, settings, scratch, as_json=options.json)
    except KeyboardInterrupt:
        return worker.INTERRUPTED


def _run(job: Job, settings: agentlog.Settings, scratch: str, *, as_json: bool) -> int:
    if not as_json:
        _say(f"Reviewing {printable(job.path)} with {job.provider} {job.model} …\n")
    write_job(scratch, job)
    queued = gateway.receive(job)
    environment = processes.child_environment(os.environ, queued.carrier)
    code, worker_pid = processes.run_worker(scratch, environment, quiet=as_json)
    run = summary.Run(
        job=job,
        task_id=queued.task_id,
        trace_id=queued.trace_id,
        root=settings.directory,
        sends=settings.exporter("traces") == "otlp",
        gateway_pid=os.getpid(),
        worker_pid=worker_pid,
        gateway_receipt=agentlog.flush(),
        worker=worker.read_report(scratch),
    )
    if not run.folder.is_dir():
        sys.stderr.write(f"agentlog demo: nothing was recorded; expected a directory that can be written at {run.root}\n")
        return worker.FAILED
    if as_json:
        sys.stdout.write(json.dumps(summary.as_json(run)) + "\n")
    else:
        _tell(run)
    return _exit_code(code)


def _tell(run: summary.Run) -> None:
    _say(f"\n{summary.before_tree(run)}\n")
    processes.show_tree(run.task_id, str(run.root), processes.child_environment(os.environ, {}))
    _say(summary.after_tree(run))


def _say(text: str) -> None:
    """Print what a terminal of any encoding can take. A model's words may hold control characters: they are left out."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = "".join(c for c in text if c.isprintable() or c in "\n\t")
    sys.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _exit_code(worker_code: int) -> int:
    """A worker that a signal ended has a negative code."""
    return worker_code if worker_code >= 0 else worker.INTERRUPTED


def _job(options: argparse.Namespace) -> Job:
    path = os.path.abspath(options.path or os.path.dirname(agentlog.__file__))
    if not os.path.isdir(path):
        found = "a file" if os.path.exists(path) else "nothing"
        raise _UsageError(f"PATH: expected a directory, found {found} at {printable(path)}")
    return Job(
        path=path,
        message=options.message,
        provider=options.provider,
        model=options.model or models.default_name(options.provider),
        slow=options.slow,
        seed=options.seed,
        root=str(Path(options.root).absolute()) if options.root else None,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see agentlog demo --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="agentlog demo",
        allow_abbrev=False,
        description="Run a small real agent over a directory and record it: in through a webhook, on in a second process. "
        "It never writes into the directory, and needs no network, no key and no server.",
    )
    parser.add_argument("path", nargs="?", metavar="PATH", help="the directory to review (default: the installed package)")
    parser.add_argument(
        "--provider", choices=models.PROVIDERS, default=models.PROVIDERS[0], help="whose model (default: %(default)s)"
    )
    parser.add_argument("--model", metavar="M", help="which model (default: a small one of the provider)")
    parser.add_argument("--message", metavar="TEXT", default="Is this directory in good shape?", help="what the comment asks")
    parser.add_argument(
        "--slow",
        action="store_true",
        help="with waits to watch and to step in (agentlog pause, context, resume, cancel), about a minute",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another N, another choice of files to read")
    parser.add_argument(
        "--root", metavar="DIR", help="where task folders go (default: TASK_LOGS_DIR or the user's state directory)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


if __name__ == "__main__":
    sys.exit(main())
