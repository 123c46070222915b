"""Interrupted, cancelled, killed from outside, many at once: nothing of a script is left running."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otel_agentlog.tools import ToolExecutionService
from tests.support.waiting import wait_until
from tests.tools.workshop import PATIENCE_S, Workshop, processes_with, supervisors_of, wait_for_file, wait_until_gone

ALLOWED = ["PATH", "TEST_MARK"]
HANGING = "#!/bin/sh\nsleep 600 &\n(setsid sleep 600 &)\npwd > {started}\nsleep 600\n"
AGENT = """
import sys
from otel_agentlog.tools import ToolExecutionService
try:
    ToolExecutionService(sys.argv[1]).execute("hang")
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise SystemExit(7)
"""


def hanging(workshop: Workshop, **entry: object) -> Path:
    """A script that hangs with children; the file it writes when it has begun."""
    started = workshop.folder / "started"
    workshop.script("hang", HANGING.format(started=started), environment=ALLOWED, grace_s=0.2, **entry)
    return started


def _children(threads: Path) -> list[str]:
    return [pid for thread in threads.iterdir() for pid in (thread / "children").read_text().split()]


def is_shell(pid: int) -> bool:
    """Whether it is one of the script's own processes."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() != "python"
    except OSError:
        return False


def agent(workshop: Workshop) -> subprocess.Popen[str]:
    """A process of its own that executes the hanging script."""
    return subprocess.Popen([sys.executable, "-c", AGENT, str(workshop.registry())], stdout=subprocess.PIPE, text=True)


def test_ctrl_c_ends_the_script_and_passes_on(workshop: Workshop, marked: str) -> None:
    """SIGINT of the agent in the middle of an execution: the tree ends, KeyboardInterrupt reaches the caller."""
    started = hanging(workshop)
    with agent(workshop) as process:
        wait_for_file(started, "the script to start")
        process.send_signal(signal.SIGINT)

        said, _ = process.communicate(timeout=PATIENCE_S)

    assert (said, process.returncode) == ("interrupted\n", 7)
    # Only the agent itself could still have the variable, and it has ended.
    wait_until_gone("TEST_MARK", marked)


def test_kill_9_of_the_agent_ends_the_script(workshop: Workshop, marked: str) -> None:
    """The supervisor sees that nobody is there any more, and removes the script's folder."""
    started = hanging(workshop)
    with agent(workshop) as process:
        folder = Path(wait_for_file(started, "the script to start").strip())
        assert folder.is_dir()
        process.kill()

    wait_until_gone("TEST_MARK", marked)
    wait_until(lambda: not folder.exists(), "the folder to be removed", timeout_s=PATIENCE_S)


def test_kill_9_of_an_agent_that_has_not_read_its_socket_ends_the_script(tmp_path: Path, marked: str) -> None:
    """What the supervisor has said and the agent has not read makes the kernel reset the socket instead of closing it."""
    started = tmp_path / "started"
    program = """
import os, sys, time
from otel_agentlog.tools.process.run import Launch, _Supervised
script = f"sleep 600 & echo yes > {sys.argv[1]}; sleep 600"
_Supervised(Launch(["/bin/sh", "-c", script], env=os.environ, cwd="/", execution_id="x"), "/bin/sh")._begin(None)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(started)]) as process:
        wait_for_file(started, "the script to start")
        process.kill()

    wait_until_gone("TEST_MARK", marked)


def test_a_forked_copy_of_the_agent_does_not_keep_a_script_alive(workshop: Workshop, marked: str) -> None:
    """The copy holds the socket open; the supervisor looks who its parent is, too."""
    started = hanging(workshop)
    fork = "import os, threading, time\nthreading.Timer(0.5, lambda: os.fork() or time.sleep(110) or os._exit(0)).start()\n"
    program = [sys.executable, "-c", fork + AGENT, str(workshop.registry())]
    with subprocess.Popen(program, start_new_session=True) as process:
        wait_for_file(started, "the script to start")
        children = Path(f"/proc/{process.pid}/task/{process.pid}")
        wait_until(lambda: len(_children(children.parent)) >= 2, "the agent to fork", timeout_s=PATIENCE_S)
        process.kill()
        process.wait()
        # The copy of the agent has the variable too, as it was there from its start.
        wait_until(lambda: not [pid for pid in processes_with("TEST_MARK", marked) if is_shell(pid)], "the script to end")
        os.killpg(process.pid, signal.SIGKILL)

    wait_until_gone("TEST_MARK", marked)


def test_kill_9_of_the_supervisor_ends_the_script(workshop: Workshop, marked: str) -> None:
    """Its processes are found by their execution's id and ended; the result says what happened."""
    started = hanging(workshop)
    service = workshop.service()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(service.execute, "hang")
        wait_for_file(started, "the script to start")
        for pid in supervisors_of(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        result = future.result(timeout=PATIENCE_S)

    assert result.error_details is not None
    assert result.error_details.context["cause"] == "lost"
    wait_until_gone("TEST_MARK", marked)


async def test_cancelling_the_asyncio_task_ends_the_script(workshop: Workshop, marked: str) -> None:
    """CancelledError passes on after the tree has ended."""
    started = hanging(workshop)
    waiting = asyncio.create_task(workshop.service().execute_async("hang"))
    while not started.exists():
        await asyncio.sleep(0.02)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    wait_until_gone("TEST_MARK", marked)
    assert supervisors_of(os.getpid()) == []


async def test_no_thread_is_to_be_had(workshop: Workshop, marked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The execution is refused as any other, and nothing is left open."""
    workshop.script("echo", "#!/bin/sh\ncat\n", environment=ALLOWED)

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    result = await workshop.service().execute_async("echo", {})

    assert result.error_details is not None
    assert (result.error_details.category.value, result.attempts) == ("RESOURCE", 0)


async def test_the_loop_goes_on_while_a_script_runs(workshop: Workshop, marked: str) -> None:
    """Other coroutines run meanwhile: here it is one of them that lets the script end."""
    go = workshop.folder / "go"
    workshop.script("wait", f"#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.02; done\n", environment=ALLOWED, timeout_s=60)

    running = asyncio.create_task(workshop.service().execute_async("wait", correlation_id="c"))
    await asyncio.sleep(0)
    go.touch()
    result = await running

    assert (result.success, result.correlation_id) == (True, "c")


async def test_fifty_at_once(workshop: Workshop, marked: str) -> None:
    """Fifty executions of two services on one registry: each gets its own inputs and output."""
    workshop.script("echo", "#!/bin/sh\ncat\n", environment=ALLOWED, output="json", timeout_s=100)
    services = [ToolExecutionService(workshop.registry()) for _ in range(2)]

    results = await asyncio.gather(*(services[n % 2].execute_async("echo", {"n": n}) for n in range(50)))

    assert [result.data for result in results] == [{"n": n} for n in range(50)]
    assert [service.get_execution_stats()["total"]["succeeded"] for service in services] == [25, 25]
    assert len({result.execution_id for result in results}) == 50


def test_threads_share_a_service(workshop: Workshop, marked: str) -> None:
    """Ten threads, three executions each."""
    workshop.script("echo", "#!/bin/sh\ncat\n", environment=ALLOWED, timeout_s=100)
    service = workshop.service()

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda n: service.execute("echo", {"n": n}), range(30)))

    assert [result.output for result in results] == [f'{{"n": {n}}}' for n in range(30)]
    assert service.get_execution_stats()["total"]["running"] == 0


def test_no_descriptor_and_no_thread_is_left(workshop: Workshop, marked: str) -> None:
    """Ten executions, good and bad, leave as many open files and threads as before."""
    workshop.script("good", "#!/bin/sh\ncat\n", environment=ALLOWED)
    workshop.script("bad", "#!/opt/nonesuch\n", environment=ALLOWED)
    service = workshop.service()
    service.execute("good")
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()

    for _ in range(5):
        service.execute("good")
        service.execute("bad")
        asyncio.run(service.execute_async("good"))

    wait_until(lambda: threading.active_count() <= threads, "threads to end", timeout_s=PATIENCE_S)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_a_cancel_during_the_wait_between_attempts(workshop: Workshop, marked: str) -> None:
    """It ends the wait at once; no further attempt begins."""
    count = workshop.folder / "count"
    workshop.script("fails", f"#!/bin/sh\necho x >> {count}\nexit 1\n", environment=ALLOWED, retries=5, retry_wait_s=3000)

    async def scenario() -> None:
        waiting = asyncio.create_task(workshop.service().execute_async("fails"))
        while not (count.exists() and count.read_text()):
            await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scenario())

    assert count.read_text() == "x\n"


def test_a_second_interrupt_does_not_wait_for_the_grace(workshop: Workshop, marked: str) -> None:
    """Whoever presses Ctrl-C twice means it: a script that ignores SIGTERM is killed."""
    started = workshop.folder / "started"
    workshop.script(
        "hang",
        f"#!/bin/sh\ntrap '' TERM\necho $$ > {started}\nwhile true; do sleep 1; done\n",
        environment=ALLOWED,
        grace_s=60,
    )
    with agent(workshop) as process:
        wait_for_file(started, "the script to start")

        def insist() -> bool:
            process.send_signal(signal.SIGINT)
            return process.poll() is not None

        wait_until(insist, "the agent to end", timeout_s=PATIENCE_S)

    assert process.returncode != 0
    wait_until_gone("TEST_MARK", marked)
