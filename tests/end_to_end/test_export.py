"""What is exported is what was sent, and opens offline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.view.cli.main import main
from tests.support.browser import browser
from tests.support.collector import Collector, find_collector
from tests.support.delivered import recorded_ids
from tests.support.waiting import wait_until

WORKLOAD = Path(__file__).parent / "workload.py"

READ_FILE = """
receivers:
  otlpjsonfile:
    include: ["{path}"]
    start_at: beginning
    include_file_name: false
service:
  pipelines:
    traces: {{receivers: [otlpjsonfile]}}
    logs: {{receivers: [otlpjsonfile]}}
"""


def _sorted(items: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: [str(item.get(key)) for key in keys] + [str(item["attributes"].get("log.record.uid"))])


@pytest.mark.collector
def test_exported_otlp_goes_through_the_file_receiver_and_comes_out_equal(collector: Collector, tmp_path: Path) -> None:
    """A collector that reads the export has the same spans and log records, field by field, as the one that got them live."""
    root, exported = tmp_path / "tasks", tmp_path / "export.jsonl"
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_endpoint}
    subprocess.run([sys.executable, str(WORKLOAD), str(root)], env=env, check=True, timeout=120, stdout=subprocess.DEVNULL)
    assert main(["export", "--root", str(root), "--signals", "traces,logs", "-o", str(exported), "--format", "otlp"]) == 0

    wanted = len(recorded_ids(root))
    collector.wait_for(lambda c: len(c.spans()) + len(c.log_records()) >= wanted, timeout_s=60)
    binary = find_collector()
    assert binary is not None
    config = READ_FILE.format(path=exported)
    with Collector(binary, tmp_path / "second", extra_config=config) as second:
        spans, logs = collector.spans(), collector.log_records()
        second.wait_for(lambda c: len(c.spans()) >= len(spans) and len(c.log_records()) >= len(logs), timeout_s=60)
        assert _different(second.spans(), spans, "span_id") == []
        assert _different(second.log_records(), logs, "time_ns", "span_id", "event_name") == []


def _different(one: list[dict[str, Any]], other: list[dict[str, Any]], *keys: str) -> list[Any]:
    pairs = zip(_sorted(one, *keys), _sorted(other, *keys), strict=True)
    return [difference for a, b in pairs for difference in _differences(a, b)]


def _differences(one: Any, other: Any, path: str = "") -> list[Any]:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        return [found for key in keys for found in _differences(one.get(key), other.get(key), f"{path}.{key}")]
    return [] if one == other else [(path, one, other)]


HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script><!--"


def test_an_exported_page_opens_offline(tmp_path: Path) -> None:
    """From a file, without a network: waterfall and conversation are there, hostile texts stay texts, the console is silent."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    with agentlog.task(HOSTILE, task_id="hostile", input=HOSTILE, agent=HOSTILE, tags=[HOSTILE]) as task:
        with agentlog.step(HOSTILE), agentlog.tool("Read", arguments={"path": HOSTILE}) as run:
            run.result = HOSTILE
        with agentlog.ai_call("m", provider="p", messages=[{"role": "user", "content": HOSTILE}]) as call:
            call.usage(input_tokens=3, output_tokens=4)
        task.output(f"Said: {HOSTILE}")
        task.result = "x" * 300_000 + HOSTILE
    agentlog.shutdown()
    page_file = tmp_path / "task.html"
    assert main(["export", "hostile", "--root", str(tmp_path / "tasks"), "-o", str(page_file)]) == 0

    with browser() as running:
        context = running.new_context(offline=True)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        page.get_by_role("tab", name="Waterfall").wait_for(timeout=60_000)
        wait_until(lambda: "execute" in page.content() or "Read" in page.inner_text("main"), "the waterfall", timeout_s=60)
        page.get_by_role("tab", name="Conversation").click()
        wait_until(lambda: f"Said: {HOSTILE}" in page.inner_text("main"), "the conversation", timeout_s=60)
        assert page.title() != "owned"
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
