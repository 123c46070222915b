"""A small real agent that reviews a directory: the first user of the package and the example to copy from.

It imports ``otel_agentlog`` as users do, and nothing else of the package. How to read its records: ``docs/demo.md``.

    __main__.py   the command: options, both processes, what it prints
    job.py        one run's message to the worker, and the waits of ``--slow``
    gateway.py    process 1: a webhook comes in, stage by stage, and becomes a task in a queue
    worker.py     process 2: continues that task in the same folder and trace
    agent.py      the task's steps, AI calls, sub-tasks, a step that fails and is handled, the result
    toolbox.py    tool runs: one that fails, one that is retried, one that is a command
    models.py     the model's client: offline, Anthropic's, OpenAI's
    offline.py    the model that needs no network
    survey.py     the directory: a bounded walk, counts over its texts, the compiler on a copy
"""

from __future__ import annotations


def main(argv: list[str] | None = None) -> int:
    """Run ``agentlog demo``; returns an exit code."""
    from otel_agentlog.demo.__main__ import main as run

    return run(argv)
