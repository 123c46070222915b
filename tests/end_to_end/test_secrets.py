"""Nothing secret leaves: every kind, by every way in, looked for in every way out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.record.redaction.secret_corpus import KIND_COUNT, Planted, leaks, planted

PROGRAM = """
import logging, sys
import structlog
from opentelemetry import trace
import otel_agentlog as agentlog
sys.path.insert(0, {repo!r})
from tests.record.redaction.secret_corpus import planted

agentlog.configure(
    directory={root!r}, log_directory={logs!r}, console="json", content="full", service_name="secrets", send_delay_s=0
)
log = agentlog.get_logger("secrets", "agent")
tracer = trace.get_tracer("vendor")
corpus = list(planted(7))[::3]
log.warning("outside a task %s", corpus[0].text)
with agentlog.webhook("github", "push", payload={{"body": [p.text for p in corpus]}}) as hook:
    hook.stage("validation", status="passed", detail=corpus[0].text)
    hook.create_task("secrets", input={{"all": [p.text for p in corpus]}}, task_id="t", agent="a")
    carrier = hook.push()
with agentlog.task(resume=carrier) as task:
    for number, p in enumerate(corpus):
        way = number % 10
        if way == 0:
            log.info(p.text, value=p.text)
        elif way == 1:
            task.output(p.text)
        elif way == 2:
            with agentlog.tool("t", arguments={{"text": p.text, "nested": [p.text]}}) as run:
                run.result = {{"out": p.text}}
        elif way == 3:
            try:
                with agentlog.step(p.text, attributes={{"user.text": p.text}}):
                    raise RuntimeError(p.text)
            except RuntimeError:
                pass
        elif way == 4:
            with agentlog.ai_call("m", provider="openai", messages=[{{"role": "user", "content": p.text}}]) as call:
                for at in range(0, len(p.text), 5):
                    delta = {{"content": p.text[at:at + 5]}}
                    call.chunk({{"object": "chat.completion.chunk", "choices": [{{"index": 0, "delta": delta}}]}})
        elif way == 5:
            for at in range(0, len(p.text), 4):
                task.thinking(p.text[at:at + 4], stream=True)
            task.thinking("and on")
        elif way == 6:
            with tracer.start_as_current_span(p.text, attributes={{"vendor": p.text}}) as span:
                span.add_event("e", {{"v": p.text}})
        elif way == 7:
            logging.getLogger("std").warning("said %s", p.text)
        elif way == 8:
            with agentlog.tool("retry") as run:
                run.attempt_failed(ValueError(p.text), wait_seconds=0)
                run.attempt_failed(reason=p.text)
        else:
            try:
                raise ValueError(p.text)
            except ValueError:
                log.exception("failed")
    task.result = [p.text for p in corpus]
print(agentlog.flush())
"""


def _everything_written(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes().decode("utf-8", "replace")


def test_no_secret_is_in_any_home_console_or_command(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """At least 99 % of the planted secrets are in no file, no OTLP byte, no console line and no output of the command line."""
    root, logs = tmp_path / "tasks", tmp_path / "logs"
    repo = str(Path(__file__).resolve().parents[2])
    program = PROGRAM.format(root=str(root), logs=str(logs), repo=repo)
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint, "AGENTLOG_SHUTDOWN_TIMEOUT": "30"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

    ways_out = dict(_everything_written(tmp_path))
    ways_out["console"] = done.stderr + done.stdout
    ways_out["OTLP"] = repr([otlp_receiver.spans(), otlp_receiver.log_records(), otlp_receiver.metrics()])
    for command in (["show", "t", "--full"], ["tail", "t", "-n", "100000"], ["show", "t", "--json"], ["ls"]):
        shown = subprocess.run(
            [sys.executable, "-m", "otel_agentlog", *command, "--root", str(root)], capture_output=True, text=True
        )
        ways_out[" ".join(command)] = shown.stdout + shown.stderr

    corpus = list(planted(7))[::3]
    assert KIND_COUNT >= 40
    assert len(ways_out["OTLP"]) > 100_000
    missed = [(name, p.kind, p.context) for name, text in ways_out.items() for p in corpus if _leaked(text, p)]
    print(sorted({(kind, context, name) for name, kind, context in missed}))
    assert len({(kind, context) for _, kind, context in missed}) <= len(corpus) // 100, missed


def _leaked(text: str, p: Planted) -> bool:
    return leaks(text, p.secret)
