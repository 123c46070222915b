"""Many tasks at once: every line in its own folder, every parent right."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader, list_tasks

ASYNC_TASKS, THREADS, ROUNDS = 200, 8, 5


async def _async_job(number: int) -> None:
    async with agentlog.task(f"job {number}", task_id=f"async-{number}"):
        async with agentlog.step(f"outer {number}"):
            await asyncio.sleep(0)
            async with agentlog.step(f"inner {number}"):
                await asyncio.sleep(0)
                with agentlog.tool(f"tool {number}"):
                    await asyncio.sleep(0)


def _thread_job(number: int) -> None:
    for round_ in range(ROUNDS):
        with agentlog.task(f"job {number}", task_id=f"thread-{number}-{round_}"), agentlog.step(f"outer {number}"):
            with agentlog.step(f"inner {number}"), agentlog.tool(f"tool {number}"):
                pass


def test_two_hundred_tasks_and_eight_threads_do_not_mix(tasks_root: Path) -> None:
    """200 asyncio tasks and 8 threads with nested steps: no line in a wrong folder, no wrong parent."""

    async def all_of_them() -> None:
        await asyncio.gather(*(_async_job(number) for number in range(ASYNC_TASKS)))

    threads = [threading.Thread(target=_thread_job, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    asyncio.run(all_of_them())
    for thread in threads:
        thread.join()

    tasks = list(list_tasks(tasks_root))
    assert len(tasks) == ASYNC_TASKS + THREADS * ROUNDS
    for task in tasks:
        _check(task)


def _check(task: TaskReader) -> None:
    lines = list(task.events())
    number = task.task_id.split("-")[1]
    assert {line["task_id"] for line in lines} == {task.task_id}
    starts = [line for line in lines if line.get("phase") == "start"]
    names = {line["span_id"]: line["message"] for line in starts}
    parents = {line["message"]: names.get(line.get("parent_span_id")) for line in starts}
    assert parents == {
        f"job {number}": None,
        f"outer {number}": f"job {number}",
        f"inner {number}": f"outer {number}",
        f"tool {number}": f"inner {number}",
    }
    assert len([line for line in lines if line.get("phase") == "end"]) == 4
    numbers = sorted(int(line["event_id"].rsplit("-", 1)[1]) for line in lines)
    assert numbers == list(range(len(lines)))
    assert (task.final_result() or {})["success"] is True
