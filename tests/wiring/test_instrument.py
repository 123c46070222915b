"""`instrument`: one instrumentor for each library, by real entry points, each case in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.store.folder.reader import find_task, list_tasks
from otel_agentlog.wiring.instrument import installed
from tests.support.providers.server import ProviderServer

FAKE = """
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
class I(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return {needs}
    def _instrument(self, **given):
        {body}
    def _uninstrument(self, **given):
        pass
"""


def install(folder: Path, distribution: str, name: str, body: str = "pass", needs: tuple[str, ...] = ()) -> None:
    """Put a distribution with one instrumentor into a folder, as pip does."""
    module = distribution.replace("-", "_")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[opentelemetry_instrumentor]\n{name} = {module}:I\n")
    (folder / f"{module}.py").write_text(FAKE.format(body=body, needs=needs))


def run(folder: Path, program: str) -> Any:
    """The JSON that a program printed last, whose path begins with the folder."""
    path = os.pathsep.join([str(folder), str(Path.cwd())])
    given = {
        **os.environ,
        "PYTHONPATH": path,
        "TASK_LOGS_DIR": str(folder / "tasks"),
        "AGENTLOG_LOG_DIR": str(folder / "l"),
    }
    begin = "import json, otel_agentlog as agentlog\n"
    command = [sys.executable, "-W", "error", "-c", begin + program]
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SHOW = """
def show(found):
    print(json.dumps([dict(found.on), dict(found.left_off)]))
"""
GENAI, OPENINFERENCE, TRACELOOP = (
    "opentelemetry-instrumentation-genai-groq",
    "openinference-instrumentation-groq",
    "opentelemetry-instrumentation-groq",
)


@pytest.mark.parametrize(
    ("distributions", "name", "wanted"),
    [
        ((TRACELOOP, OPENINFERENCE, GENAI), "groq", GENAI),
        ((TRACELOOP, OPENINFERENCE), "groq", OPENINFERENCE),
        ((TRACELOOP,), "groq", TRACELOOP),
        (
            ("opentelemetry-instrumentation-genai-openai-agents", "opentelemetry-instrumentation-openai-agents"),
            "openai_agents",
            "opentelemetry-instrumentation-openai-agents",
        ),
        (("opentelemetry-instrumentation-bedrock", "openinference-instrumentation-bedrock"), "boto3", None),
    ],
)
def test_one_instrumentor_of_each_library(distributions: tuple[str, ...], name: str, wanted: str | None, tmp_path: Path) -> None:
    """The preferred one is switched on, the others are named with the reason."""
    for distribution in distributions:
        install(tmp_path, distribution, "bedrock" if distribution.startswith("openinf") and name == "boto3" else name)
    library = "bedrock" if name == "boto3" else name
    wanted = wanted or "openinference-instrumentation-bedrock"

    on, left_off = run(tmp_path, SHOW + f"show(agentlog.instrument(only=[{library!r}]))")
    assert on == {library: wanted}
    others = {each: why for each, why in left_off.items() if each in distributions}
    assert others == dict.fromkeys(set(distributions) - {wanted}, f"{library} is watched by {wanted}")


def test_a_broken_one_is_left_off_and_the_next_is_taken(tmp_path: Path) -> None:
    """One that raises, one that cannot be imported, one whose library is missing: told, logged, never raised."""
    install(tmp_path, GENAI, "groq", body="raise ValueError('no such method')")
    install(tmp_path, OPENINFERENCE, "groq", needs=("no-such-package >= 1",))
    install(tmp_path, TRACELOOP, "groq")
    install(tmp_path, "openinference-instrumentation-beeai", "beeai")
    (tmp_path / "openinference_instrumentation_beeai.py").write_text("import no_such_module")
    program = """
import logging, io
logging.basicConfig(stream=(said := io.StringIO()))
found = agentlog.instrument(only=["groq", "beeai"])
print(json.dumps([dict(found.on), dict(found.left_off), said.getvalue()]))
"""
    on, left_off, said = run(tmp_path, program)
    assert on == {"groq": TRACELOOP}
    assert left_off[GENAI] == "ValueError: no such method"
    assert "no-such-package" in left_off[OPENINFERENCE]
    assert left_off["openinference-instrumentation-beeai"].startswith("ModuleNotFoundError")
    assert f"{GENAI} was not switched on: ValueError: no such method" in said


def test_again_is_the_same_and_what_others_switched_on_stays(tmp_path: Path) -> None:
    """Nothing is switched on twice, also not by two calls or beside somebody else's choice."""
    install(tmp_path, GENAI, "groq", body="print('switched on')")
    install(tmp_path, TRACELOOP, "groq")
    mine = "from opentelemetry_instrumentation_groq import I\nI().instrument()\n"

    on, left_off = run(tmp_path, SHOW + mine + "show(agentlog.instrument(only=['groq']))")
    assert on == {"groq": TRACELOOP}
    assert left_off[GENAI] == f"groq is watched by {TRACELOOP}"
    twice = "print(json.dumps([agentlog.instrument(only=['groq']) == agentlog.instrument(only=['groq'])]))"
    assert run(tmp_path, twice) == [True]


def test_before_configure_and_from_many_threads(tmp_path: Path) -> None:
    """Each is switched on once; one that asks for the others itself does not hang, and what comes later is recorded."""
    body = "import otel_agentlog; otel_agentlog.instrument(only=['other']); print('switched on')"
    install(tmp_path, GENAI, "groq", body=body)
    install(tmp_path, "openinference-instrumentation-other", "other")
    program = """
import threading
found = []
threads = [threading.Thread(target=lambda: found.append(agentlog.instrument(only=["groq", "openai"]))) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
agentlog.configure(console="off")
from openai import OpenAI
with agentlog.task("t", task_id="t"):
    try:
        OpenAI(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0).embeddings.create(model="m", input="x")
    except Exception as error:
        pass
print(json.dumps([sorted(each.on) for each in found]))
"""
    assert run(tmp_path, program) == [["groq", "openai", "other"]] * 8
    assert (find_task(tmp_path / "tasks", "t").final_result() or {})["metrics"]["ai_calls"] == 1


def test_what_is_left_out_stays_off(tmp_path: Path) -> None:
    """By library or distribution; a name that is not installed is fine."""
    install(tmp_path, GENAI, "groq")
    install(tmp_path, TRACELOOP, "groq")
    call = f"agentlog.instrument(only=['groq'], leave_out=[{GENAI!r}, 'nothing'])"
    on, left_off = run(tmp_path, SHOW + f"show({call})")
    assert (on, left_off[GENAI]) == ({"groq": TRACELOOP}, "left out by leave_out")
    on, _ = run(tmp_path, SHOW + f"show(agentlog.instrument(only=[{TRACELOOP!r}]))")
    assert on == {"groq": TRACELOOP}
    on, _ = run(tmp_path, SHOW + "show(agentlog.instrument(only=['groq'], leave_out={'groq'}))")
    assert on == {}


@pytest.mark.parametrize("only", [["grok"], ["groq", "nothing"], "openai", ["opentelemetry-instrumentation-requests"], [""]])
def test_a_name_that_is_not_installed_is_refused(only: Any) -> None:
    """With the names that are."""
    with pytest.raises(ConfigurationError, match=r"openai|anthropic"):
        agentlog.instrument(only=only)


def test_the_setting_refuses_it_in_configure(tmp_path: Path) -> None:
    """Before anything is set up."""
    with pytest.raises(ConfigurationError, match=r"'instrument': expected what is installed .*openai.*found 'grok'"):
        agentlog.configure(directory=tmp_path, instrument=["grok"])


def test_what_is_installed_here() -> None:
    """Clients that trace themselves come first; instrumentors of anything but AI are none of ours."""
    found = {library: [each.by for each in candidates] for library, candidates in installed().items()}
    assert found["anthropic"] == ["its own tracing", "openinference-instrumentation-anthropic"]
    assert found["openai"] == ["opentelemetry-instrumentation-genai-openai", "openinference-instrumentation-openai"]
    assert "requests" not in found


CALLS = """
import openai, sys
client = openai.OpenAI(base_url=sys.argv[1], api_key="k", max_retries=0)
client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""


@pytest.mark.parametrize("how", ["run", "setting"])
def test_a_program_that_knows_nothing_of_it(how: str, tmp_path: Path) -> None:
    """``agentlog run --instrument``, and the setting: the request to the model is in the folder, once."""
    program, root = tmp_path / "calls.py", tmp_path / "tasks"
    program.write_text(CALLS)
    if how == "setting":
        program.write_text(
            "import otel_agentlog as a\na.configure(instrument=['openai'], console='off')\n"
            + f"with a.task('t'):\n    exec({CALLS!r})\n"
        )
    with ProviderServer() as server:
        given = [sys.executable, str(program), server.openai_url]
        command = [sys.executable, "-m", "otel_agentlog", "run", "--instrument", "--", *given]
        env = {**os.environ, "TASK_LOGS_DIR": str(root), "AGENTLOG_LOG_DIR": str(tmp_path / "l")}
        done = subprocess.run(
            command if how == "run" else given, env=env, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr
        assert len(server.requests) == 1
    (task,) = list_tasks(root)
    metrics = (task.final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (1, 2400, 50)
