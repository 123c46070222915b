"""A program whose children record, run by the tests. Usage: fork_program.py fork|forkserver|spawn|pool ROOT"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import otel_agentlog as agentlog

CHILDREN = 4


def configure(root: str) -> None:
    agentlog.configure(service_name="fork", directory=root, log_directory=root + "-logs", console="off", recover_on_start=False)


def record(number: int) -> None:
    current = agentlog.current_operation()
    assert current is not None
    with agentlog.step("in child") as step:
        task = step.task
        assert task is not None
        said = {"component": "agent", "action": "content_recorded", "content": f"child {number}"}
        step.point({"type": "output", "level": "INFO", **said})
    # Nobody ends this one: the end of the process does.
    left.append(agentlog.task("left", task_id=f"left-{number}", resume={}).start())


left: list[agentlog.Task] = []


def resumed(root: str, carrier: dict[str, str], number: int) -> None:
    configure(root)
    with agentlog.task(resume=carrier):
        record(number)


def main(kind: str, root: str) -> None:
    configure(root)
    with agentlog.task("job", task_id="t") as task, agentlog.step("around"):
        if kind == "pool":
            with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
                list(pool.map(record, range(CHILDREN)))
            return
        context = multiprocessing.get_context(kind)
        for number in range(CHILDREN):
            arguments = (number,) if kind == "fork" else (root, task.carrier(), number)
            child = context.Process(target=record if kind == "fork" else resumed, args=arguments)
            child.start()
            child.join()
            assert child.exitcode == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
