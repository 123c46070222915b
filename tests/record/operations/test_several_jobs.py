"""A task that is handed over to several jobs ends with the last of them, failed if one failed."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context

import otel_agentlog as agentlog
from otel_agentlog.record.carrier import read_carrier
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.jobs import JOBS, JobFile
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.envelope import JobsLeft


def status(root: Path) -> str:
    return str((TaskReader(root / "t").metadata() or {})["status"])


def final(root: Path) -> dict[str, Any]:
    return TaskReader(root / "t").final_result() or {}


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in validate(root / "t").problems]


def handed_over(jobs: int) -> list[dict[str, str]]:
    with agentlog.task("Answer", task_id="t") as request:
        return [request.carrier(hand_over=True, queue="jobs") for _ in range(jobs)]


def run(carrier: dict[str, str], outcome: str = "completed", result: object = None) -> None:
    with agentlog.task(resume=carrier) as job:
        job.result = result
        if outcome != "completed":
            job.end(outcome)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_the_last_job_ends_the_task(order: tuple[int, ...], tasks_root: Path) -> None:
    """One after the other in any order: between them it waits, and nothing else has its id."""
    carriers = handed_over(3)
    for number, which in enumerate(order):
        assert status(tasks_root) == "pending"
        run(carriers[which], result=number)

    assert (status(tasks_root), final(tasks_root)["outcome"], final(tasks_root)["result"]) == ("completed", "completed", 2)
    assert [task.task_id for task in list_tasks(tasks_root)] == ["t"]
    assert problems(tasks_root) == []


@pytest.mark.parametrize("ends", [*itertools.permutations(range(3))])
def test_jobs_at_once_end_the_task_together(ends: tuple[int, ...], tasks_root: Path) -> None:
    """The first to begin may be the first or the last to end."""
    jobs = [agentlog.task(resume=carrier).start() for carrier in handed_over(3)]
    for which in ends:
        assert final(tasks_root) == {}
        jobs[which].end()

    assert (status(tasks_root), final(tasks_root)["outcome"]) == ("completed", "completed")
    assert [task.task_id for task in list_tasks(tasks_root)] == ["t"]
    assert problems(tasks_root) == []


@pytest.mark.parametrize("failing", range(3))
@pytest.mark.parametrize("at_once", [False, True])
def test_one_that_failed_is_a_failure_of_the_task(failing: int, at_once: bool, tasks_root: Path) -> None:
    """Whichever it is, and however the last one ended."""
    carriers = handed_over(3)
    jobs = [agentlog.task(resume=carrier).start() for carrier in carriers] if at_once else None
    for number, carrier in enumerate(carriers):
        job = jobs[number] if jobs is not None else agentlog.task(resume=carrier).start()
        job.end(error=OSError("disk full") if number == failing else None)

    found = final(tasks_root)
    assert (status(tasks_root), found["outcome"], found["success"]) == ("failed", "failed", False)
    assert problems(tasks_root) == []


def test_the_next_run_of_a_job_is_that_job(tasks_root: Path) -> None:
    """A job that hands over to its next run has not ended; the other one does not end the task meanwhile."""
    first, second = handed_over(2)
    with agentlog.task(resume=first) as job:
        again = job.carrier(hand_over=True)
        job.end("cancelled", reason="to be tried again")
    run(second)
    assert status(tasks_root) == "pending"
    run(again)

    assert status(tasks_root) == "completed"
    assert problems(tasks_root) == []


def test_jobs_of_jobs(tasks_root: Path) -> None:
    """What a job hands over further counts like what the request did."""
    (first,) = handed_over(1)
    with agentlog.task(resume=first) as job:
        more = [job.carrier(hand_over=True) for _ in range(3)]
    for carrier in more:
        assert status(tasks_root) == "pending"
        run(carrier)
    assert status(tasks_root) == "completed"
    assert problems(tasks_root) == []


def test_a_job_that_comes_twice_counts_once(tasks_root: Path) -> None:
    """Queues deliver twice: the second time the task is waiting for the other job all the same, or has ended."""
    first, second = handed_over(2)
    run(first)
    with agentlog.task(resume=second):
        run(first)
        assert final(tasks_root) == {}
    assert (status(tasks_root), final(tasks_root)["outcome"]) == ("completed", "completed")
    assert problems(tasks_root) == []


def test_a_job_queued_after_the_others_have_ended_follows(tasks_root: Path) -> None:
    """It could not be known that there would be one more."""
    with agentlog.task("Answer", task_id="t") as request:
        run(request.carrier(hand_over=True))
        late = request.carrier(hand_over=True)
    assert status(tasks_root) == "completed"
    with agentlog.task(resume=late) as follows:
        assert follows.task_id != "t"
    assert problems(tasks_root) == []


@pytest.mark.parametrize("planted", [b"", b"\xff{garbage\n", b'{"job":7,"phase":"start"}\n[1]\nnull\n{"torn'])
def test_whatever_stands_in_the_file(planted: bytes, tasks_root: Path) -> None:
    """It may be gone or damaged: no job raises, and the task ends."""
    carriers = handed_over(2)
    (tasks_root / "t" / JOBS).write_bytes(planted)
    for carrier in carriers:
        run(carrier)
    assert status(tasks_root) == "completed"


def test_a_torn_line_costs_only_itself(tasks_root: Path) -> None:
    """The line behind it is whole."""
    carriers = handed_over(2)
    with (tasks_root / "t" / JOBS).open("ab") as file:
        file.write(b'{"timestamp":"2026')
    run(carriers[0])
    assert status(tasks_root) == "pending"
    run(carriers[1])
    assert status(tasks_root) == "completed"


def test_a_link_in_its_place_is_not_followed(tasks_root: Path, tmp_path: Path) -> None:
    """As first decided: the first job ends the task."""
    carriers = handed_over(2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes((tasks_root / "t" / JOBS).read_bytes())
    before = elsewhere.read_bytes()
    (tasks_root / "t" / JOBS).unlink()
    (tasks_root / "t" / JOBS).symlink_to(elsewhere)
    with contextlib.suppress(OSError):
        run(carriers[0])
    assert status(tasks_root) == "completed"
    assert elsewhere.read_bytes() == before


def test_an_end_of_a_job_that_is_cut_is_an_error(tasks_root: Path) -> None:
    """The disk has room for a part of the line alone: it is no end, and the next try is a line of its own."""
    resource = pytest.importorskip("resource")
    request = agentlog.task("Answer", task_id="t").start()
    job, _ = (read_carrier(request.carrier(hand_over=True), Context()).ids["job"] for _ in range(2))
    request.end()
    assert request.task is not None
    jobs, file = JobFile(request.task), tasks_root / "t" / JOBS
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, unlimited[1]))
    try:
        with pytest.raises(OSError), jobs.ending(job, "completed"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    with jobs.ending(job, "completed") as left:
        assert left == JobsLeft(1, failed=False)


def test_no_job_ends_while_another_one_does(tasks_root: Path) -> None:
    """What one that is not the last does of the task is done when the last one finds itself the last."""
    request = agentlog.task("Answer", task_id="t").start()
    carriers = [request.carrier(hand_over=True) for _ in range(2)]
    one, other = (read_carrier(carrier, Context()).ids["job"] for carrier in carriers)
    assert request.task is not None
    jobs, found = JobFile(request.task), []

    def end_other() -> None:
        with jobs.ending(other, "completed") as left:
            found.append(left)

    with jobs.ending(one, "completed") as left:
        thread = threading.Thread(target=end_other)
        thread.start()
        thread.join(0.2)
        assert (left, found) == (JobsLeft(1, failed=False), [])
    thread.join(10)
    request.end()

    assert found == [JobsLeft(0, failed=False)]


_JOB = """
import json, sys, otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off', recover_on_start=False)
job = agentlog.task(resume=json.loads(sys.argv[2])).start()
print("begun", flush=True)
sys.stdin.read()
job.end()
agentlog.shutdown()
"""


def test_of_processes_that_end_at_once_one_ends_the_task(tasks_root: Path) -> None:
    """Each ends its part; exactly one is the last."""
    carriers = handed_over(4)
    command = [sys.executable, "-c", _JOB, str(tasks_root)]
    jobs = [
        subprocess.Popen([*command, json.dumps(carrier)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for carrier in carriers
    ]
    for job in jobs:
        assert job.stdout is not None
        assert job.stdout.readline() == b"begun\n"
    for job in jobs:
        assert job.stdin is not None
        job.stdin.close()
    for job in jobs:
        assert job.wait(60) == 0
        assert job.stdout is not None
        job.stdout.close()

    ends = [line for line in TaskReader(tasks_root / "t").events() if line["type"] == "task" and line.get("phase") == "end"]
    assert (status(tasks_root), [line["outcome"] for line in ends]) == ("completed", ["completed"])
    assert problems(tasks_root) == []
