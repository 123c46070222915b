"""Celery: eager, and real workers (solo, prefork) on a broker in a folder; jobs continue the tasks they were published in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import otel_agentlog as agentlog
from otel_agentlog.integrations import celery as ours
from otel_agentlog.integrations.celery import connect
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.validation.validate import validate
from tests.integrations import celery_app
from tests.support.waiting import wait_until

JOBS = "tests.integrations.celery_app."


def events(root: Path, task_id: str) -> list[dict[str, Any]]:
    return list(TaskReader(root / task_id).events())


def steps(root: Path, task_id: str) -> list[tuple[str, str]]:
    """The steps that have ended, and how."""
    return [
        (line["message"].removeprefix(JOBS), line["outcome"])
        for line in events(root, task_id)
        if line["type"] == "step" and line["phase"] == "end"
    ]


def metadata(root: Path, task_id: str) -> dict[str, Any]:
    return TaskReader(root / task_id).metadata() or {}


def all_valid(root: Path) -> bool:
    return [str(problem) for task in list_tasks(root) for problem in validate(task.folder).problems] == []


# -- eager --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def eager(tasks_root: Path) -> Iterator[Path]:
    """Jobs run where they are called; the root of the tasks."""
    connect()
    celery_app.app.conf.task_always_eager = True
    yield tasks_root
    assert ours._runs == {}
    assert all_valid(tasks_root)


def test_an_eager_job_is_a_step_of_the_task_around_it(eager: Path) -> None:
    """It has no message, so no carrier; it runs inside the task."""
    with agentlog.task("outer", task_id="t"):
        assert celery_app.add.delay(1, 2).get() == 3
    assert steps(eager, "t") == [("add", "completed")]
    assert len(list(list_tasks(eager))) == 1


def test_an_eager_job_outside_of_every_task_is_one(eager: Path) -> None:
    """With its arguments as input, its result, and its failure."""
    celery_app.add.delay(1, 2)
    celery_app.broken.delay("boom")

    found = {(task.metadata() or {})["name"].removeprefix(JOBS): task for task in list_tasks(eager)}
    assert (found["add"].final_result() or {})["result"] == 3
    assert (found["add"].input() or {})["input"] == {"args": [1, 2], "kwargs": {}}
    assert (found["broken"].final_result() or {})["error"]["message"] == "boom"
    assert agentlog.current_operation() is None


# -- workers ------------------------------------------------------------------------------------------------------------------


@contextmanager
def worker(folder: Path, pool: str) -> Iterator[None]:
    """A worker while the block runs; ended as operators do."""
    command = [sys.executable, "-m", "celery", "-A", "tests.integrations.celery_app", "worker", "-P", pool, "-c", "2"]
    command += ["--without-gossip", "--without-mingle", "-l", "INFO"]
    environ = {**os.environ, "CELERY_TEST_FOLDER": str(folder), "C_FORCE_ROOT": "1"}
    with (folder / "worker.log").open("wb") as log:
        running = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        yield
    finally:
        running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


PUBLISHER = """
import otel_agentlog as agentlog
from tests.integrations.celery_app import add, broken, dies, flaky
def handed():
    return {"agentlog": agentlog.current_operation().carrier(hand_over=True)}
with agentlog.task("handed over", task_id="handed"):
    add.apply_async((1, 2), headers=handed())
with agentlog.task("tried again", task_id="flaky"):
    flaky.apply_async((2,), headers=handed())
with agentlog.task("never right", task_id="never"):
    flaky.apply_async((9,), headers=handed())
with agentlog.task("fails", task_id="broken"):
    broken.apply_async(("boom",), headers=handed())
with agentlog.task("over", task_id="over"):
    add.delay(3, 4)
add.delay(5, 6)
agentlog.shutdown()
"""


def publish(folder: Path, program: str = PUBLISHER) -> None:
    """Publish from another process than the worker."""
    environ = {**os.environ, "CELERY_TEST_FOLDER": str(folder)}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr


def work(folder: Path, pool: str) -> dict[str, str]:
    """All jobs of `PUBLISHER` by one worker; what the tasks were before it began."""
    root = folder / "tasks"
    publish(folder)
    before = {task_id: metadata(root, task_id)["status"] for task_id in ("handed", "flaky", "broken", "over")}
    with worker(folder, pool):
        wait_until(
            lambda: len([1 for task in list_tasks(root) if (task.metadata() or {}).get("completed_at")]) == 7,
            "all jobs to end",
            timeout_s=90,
        )
    return before


def be_killed(folder: Path) -> None:
    """A job whose process is killed, by a worker that goes on until recovery has closed its task."""
    root = folder / "tasks"
    program = 'from tests.integrations.celery_app import dies, agentlog\nwith agentlog.task("t", task_id="t"):\n'
    publish(
        folder, program + '    dies.apply_async(headers={"agentlog": agentlog.current_operation().carrier(hand_over=True)})\n'
    )
    with worker(folder, "prefork"):
        wait_until(lambda: "running" in metadata(root, "t")["status"], "the job to begin", timeout_s=90)
        wait_until(lambda: recover(root).repaired, "the job to die", timeout_s=60)


class Workers(NamedTuple):
    """What three workers did, each in a folder of its own."""

    folders: dict[str, Path]
    ends: dict[str, Future[Any]]

    def ended(self, name: str) -> tuple[Path, Any]:
        """The root of its tasks, and what was returned; raises what went wrong."""
        found = self.ends[name].result()
        return self.folders[name] / "tasks", found


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Workers:
    """All at the same time, as each takes five to thirteen seconds to end, in which it only waits."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("solo", "prefork", "killed")}
    with ThreadPoolExecutor(len(folders)) as threads:
        ends: dict[str, Future[Any]] = {name: threads.submit(work, folders[name], name) for name in ("solo", "prefork")}
        ends["killed"] = threads.submit(be_killed, folders["killed"])
    return Workers(folders, ends)


@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_jobs_of_a_worker(pool: str, workers: Workers) -> None:
    """Each ends the task that it was handed, or follows the one that is over, or is one; retries are steps of the same task."""
    root, before = workers.ended(pool)
    assert before == {"handed": "pending", "flaky": "pending", "broken": "pending", "over": "completed"}

    outcome = {task_id: metadata(root, task_id)["status"] for task_id in ("handed", "flaky", "never", "broken")}
    assert outcome == {"handed": "completed", "flaky": "completed", "never": "failed", "broken": "failed"}
    assert steps(root, "handed") == [("add", "completed")]
    assert steps(root, "flaky") == [("flaky", "failed")] * 2 + [("flaky", "completed")]
    assert steps(root, "never") == [("flaky", "failed")] * 3
    assert (TaskReader(root / "flaky").final_result() or {})["result"] == "at last"
    logged = [line["message"] for line in events(root, "handed") if line["type"] == "log"]
    assert "adding" in logged
    (following,) = [task for task in list_tasks(root) if (task.metadata() or {}).get("parent_task_id") == "over"]
    assert (following.final_result() or {})["result"] == 7
    (own,) = [task for task in list_tasks(root) if (task.metadata() or {}).get("source") == "celery"]
    assert (own.final_result() or {})["result"] == 11
    assert all_valid(root)


def test_a_job_whose_process_is_killed(workers: Workers) -> None:
    """Its task is interrupted."""
    root, _ = workers.ended("killed")
    assert metadata(root, "t")["status"] == "interrupted"
    assert all_valid(root)
