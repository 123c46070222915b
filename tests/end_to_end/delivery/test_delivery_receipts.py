"""Receipts are the receiver's truth, whatever becomes of the folder, and whoever sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.waiting import wait_until

BEGIN = (
    "import json, os, shutil, signal, sys, time\n"
    "import otel_agentlog as agentlog\n"
    "root = sys.argv[1]\n"
    "settings = dict(service_name='x', directory=root, log_directory=root + '-l', console='off', capture_logging=False)\n"
    "if sys.argv[2:]: settings['endpoint'] = sys.argv[2]\n"
)
CONFIGURE = "agentlog.configure(**settings)\nlog = agentlog.get_logger('l')\n"
TASK = (
    "with agentlog.task('t', task_id='t'):\n"
    "    log.info('one')\n"
    "    with agentlog.step('s'): log.info('two')\n"
    "found = agentlog.flush()\n"
    "print(json.dumps([found.recorded, found.delivered, found.pending, found.dropped]))\n"
)


def _run(program: str, root: Path, *args: str, **env: str) -> list[int]:
    """Recorded, delivered, pending and dropped, as the program said."""
    command = [sys.executable, "-c", program, str(root), *args]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "AGENTLOG_SHUTDOWN_TIMEOUT": "30", **env}
    )
    assert ran.returncode == 0, ran.stderr
    counts: list[int] = json.loads(ran.stdout.splitlines()[-1])
    return counts


def _delivery(folder: Path) -> list[int]:
    found = json.loads((folder / "metadata.json").read_bytes())["delivery"]
    return [found[key] for key in ("recorded", "delivered", "pending", "dropped")]


def test_what_arrived_is_delivered_though_there_is_no_folder(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The root cannot be made: the collector has everything."""
    (tmp_path / "tasks").write_text("in the way")

    assert _run(BEGIN + CONFIGURE + TASK, tmp_path / "tasks", otlp_receiver.http_endpoint) == [4, 4, 0, 0]
    assert len(otlp_receiver.spans()) + len(otlp_receiver.log_records()) == 4


def test_what_is_in_no_home_is_dropped(tmp_path: Path) -> None:
    """The root cannot be made, and nothing is sent."""
    (tmp_path / "tasks").write_text("in the way")

    assert _run(BEGIN + CONFIGURE + TASK, tmp_path / "tasks") == [4, 0, 0, 4]


def test_nothing_is_dropped_where_sending_is_switched_off(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED: everything waits in the folder, and `agentlog ship` sends it."""
    root = tmp_path / "tasks"

    assert _run(BEGIN + CONFIGURE + TASK, root, otlp_receiver.http_endpoint, OTEL_SDK_DISABLED="true") == [4, 0, 4, 0]
    assert _delivery(root / "t") == [4, 0, 4, 0]
    ship = [sys.executable, "-m", "otel_agentlog", "ship", "--root", str(root), "--endpoint", otlp_receiver.http_endpoint]
    subprocess.run(ship, check=True, timeout=60, capture_output=True)
    assert len(otlp_receiver.spans()) + len(otlp_receiver.log_records()) == 4
    assert _delivery(root / "t") == [4, 4, 0, 0]


def test_spans_of_a_provider_of_another_make_that_sends_nowhere_are_sent_from_here(
    otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """A provider that is no SDK's, such as logfire's, without an exporter to our endpoint: nothing is pending."""
    provider = (
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "class Foreign(trace.TracerProvider):\n"
        "    inner = TracerProvider()\n"
        "    def get_tracer(self, *args, **kwargs): return self.inner.get_tracer(*args, **kwargs)\n"
        "trace.set_tracer_provider(Foreign())\n"
    )

    assert _run(BEGIN + provider + CONFIGURE + TASK, tmp_path / "tasks", otlp_receiver.http_endpoint) == [4, 4, 0, 0]


@pytest.mark.parametrize(
    "act", ["shutil.rmtree(root + '/t')", "shutil.rmtree(root)", "os.unlink(root + '/t/03-agent-output.jsonl')"]
)
def test_what_was_queued_is_delivered_though_its_folder_is_gone(act: str, otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Deleted after the task's end, while its items wait to be sent."""
    program = BEGIN + "settings['send_delay_s'] = 30\n" + CONFIGURE + TASK.replace("found =", f"{act}\nfound =", 1)

    assert _run(program, tmp_path / "tasks", otlp_receiver.http_endpoint) == [4, 4, 0, 0]


def test_counts_follow_while_the_process_runs_on(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Nothing more is recorded or sent after the last answer: ``metadata.json`` has it all the same."""
    root = tmp_path / "tasks"
    program = BEGIN + CONFIGURE + TASK.partition("found =")[0] + "print('ready', flush=True)\nsignal.pause()\n"
    command = [sys.executable, "-c", program, str(root), otlp_receiver.http_endpoint]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until(
                lambda: (root / "t" / "metadata.json").exists() and _delivery(root / "t") == [4, 4, 0, 0],
                "the counts",
                timeout_s=60,
            )
        finally:
            process.kill()
