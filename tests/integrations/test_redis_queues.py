"""RQ and arq with workers of their own, against a server that speaks Redis: jobs continue the tasks they were queued in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import arq
import fakeredis
import pytest
import redis
import rq

import otel_agentlog as agentlog
from otel_agentlog.integrations import arq as ours_of_arq
from otel_agentlog.integrations import rq as ours_of_rq
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.validation.validate import validate
from tests.integrations import redis_jobs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the server listens."""
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


class Client(redis.Redis):
    """The server tells of its clients in a form that the client does not read."""

    def client_info(self, **given: Any) -> Any:
        return {"addr": "127.0.0.1:1"}


@pytest.fixture
def connection(port: int) -> Iterator[redis.Redis]:
    """An empty database."""
    with Client(port=port) as made:
        made.flushall()
        yield made


def metadata(root: Path, task_id: str) -> dict[str, Any]:
    return TaskReader(root / task_id).metadata() or {}


def result(root: Path, task_id: str) -> Any:
    return (TaskReader(root / task_id).final_result() or {})["result"]


def steps(root: Path, task_id: str) -> list[str]:
    return [line["outcome"] for line in TaskReader(root / task_id).events() if line["type"] == "step" and line["phase"] == "end"]


def all_valid(root: Path) -> bool:
    return [str(problem) for task in list_tasks(root) for problem in validate(task.folder).problems] == []


# -- RQ -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("worker", [rq.SimpleWorker, rq.Worker])
def test_jobs_of_rq(worker: Any, connection: redis.Redis, tasks_root: Path) -> None:
    """In the worker's process, or in a process of each job's own."""
    queue = rq.Queue("jobs", connection=connection)
    with agentlog.task("handed over", task_id="handed"):
        queue.enqueue(redis_jobs.add, 1, 2, meta=ours_of_rq.carrier(hand_over=True))
    with agentlog.task("tried again", task_id="flaky"):
        queue.enqueue(redis_jobs.flaky, 2, meta=ours_of_rq.carrier(hand_over=True), retry=rq.Retry(max=3))
    with agentlog.task("never right", task_id="never"):
        queue.enqueue(redis_jobs.flaky, 9, meta=ours_of_rq.carrier(hand_over=True), retry=rq.Retry(max=1))
    with agentlog.task("over", task_id="over"):
        queue.enqueue(redis_jobs.add, 3, 4, meta=ours_of_rq.carrier())
    queue.enqueue(redis_jobs.add, 5, 6)
    assert [metadata(tasks_root, task_id)["status"] for task_id in ("handed", "flaky", "never")] == ["pending"] * 3

    worker([queue], connection=connection).work(burst=True, logging_level="ERROR")

    assert (metadata(tasks_root, "handed")["status"], result(tasks_root, "handed")) == ("completed", 3)
    assert (steps(tasks_root, "flaky"), result(tasks_root, "flaky")) == (["failed", "failed", "completed"], "at last")
    assert (steps(tasks_root, "never"), metadata(tasks_root, "never")["status"]) == (["failed", "failed"], "failed")
    others = {(task.metadata() or {}).get("parent_task_id"): task.task_id for task in list_tasks(tasks_root)}
    assert result(tasks_root, others["over"]) == 7
    (own,) = [task for task in list_tasks(tasks_root) if (task.metadata() or {})["source"] == "rq"]
    assert (own.metadata() or {})["name"] == "tests.integrations.redis_jobs.add"
    assert all_valid(tasks_root)


def test_a_job_of_rq_whose_process_is_killed(connection: redis.Redis, tasks_root: Path) -> None:
    """Its task is interrupted, and the worker goes on."""
    queue = rq.Queue("jobs", connection=connection)
    with agentlog.task("t", task_id="t"):
        queue.enqueue(redis_jobs.dies, meta=ours_of_rq.carrier(hand_over=True))
    rq.Worker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
    recover(tasks_root)
    assert metadata(tasks_root, "t")["status"] == "interrupted"
    assert all_valid(tasks_root)


def test_the_function_is_the_same_without_a_queue(tasks_root: Path) -> None:
    """Called by itself it is a step of the task that is current, else a task."""
    with agentlog.task("t", task_id="t"):
        assert redis_jobs.add(1, right=2) == 3
    assert steps(tasks_root, "t") == ["completed"]
    assert redis_jobs.add(1, 2) == 3
    assert len(list(list_tasks(tasks_root))) == 2


# -- arq ----------------------------------------------------------------------------------------------------------------------


async def test_jobs_of_arq(port: int, connection: redis.Redis, tasks_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one worker, at the same time."""

    async def nothing(*given: Any) -> None: ...

    monkeypatch.setattr(arq.worker, "log_redis_info", nothing)  # the server has no INFO
    settings = arq.connections.RedisSettings(port=port)
    pool = await arq.create_pool(settings)
    async with agentlog.task("handed over", task_id="handed"):
        await pool.enqueue_job("send", 1, **ours_of_arq.carrier(hand_over=True))
    async with agentlog.task("tried again", task_id="flaky"):
        await pool.enqueue_job("send", 2, fails=2, **ours_of_arq.carrier(hand_over=True))
    async with agentlog.task("fails", task_id="fails"):
        await pool.enqueue_job("send", -1, **ours_of_arq.carrier(hand_over=True))
    async with agentlog.task("over", task_id="over"):
        await pool.enqueue_job("send", 3, **ours_of_arq.carrier())
    await pool.enqueue_job("send", 4)
    worker = arq.Worker([redis_jobs.send], redis_pool=pool, burst=True, poll_delay=0.05, handle_signals=False)
    await asyncio.wait_for(worker.main(), 60)
    await worker.close()

    assert (metadata(tasks_root, "handed")["status"], result(tasks_root, "handed")) == ("completed", "order 1")
    assert (steps(tasks_root, "flaky"), result(tasks_root, "flaky")) == (["failed", "failed", "completed"], "order 2")
    assert (metadata(tasks_root, "fails")["status"], metadata(tasks_root, "over")["status"]) == ("failed", "completed")
    others = {(task.metadata() or {}).get("parent_task_id"): task.task_id for task in list_tasks(tasks_root)}
    assert result(tasks_root, others["over"]) == "order 3"
    assert all_valid(tasks_root)


async def test_errors_of_ours_do_not_reach_the_job(tasks_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with the carrier, or with the queue's own objects."""

    def odd() -> Any:
        raise RuntimeError("no queue")

    monkeypatch.setattr(ours_of_rq, "_job", odd)
    assert redis_jobs.add(1, 2) == 3
    for carrier in (7, "x", {"traceparent": object()}, {"baggage": b"\xff"}, {3: 4}, []):
        assert await redis_jobs.send({"job_try": 1}, 1, **{ours_of_arq.ARGUMENT: carrier}) == "order 1"
