"""A small real agent that reviews a directory: our own first user and the example to copy from.

It enters by the front door, as any user does, and imports nothing else of the package. What it shows, file by file:

    gateway.py   a webhook comes in, stage by stage, and becomes a task in a queue
    worker.py    another process continues that task: one folder, one trace
    agent.py     the task's steps, its sub-tasks, a step that fails and is handled, the result
    talk.py      AI calls: plain, streaming, and the loop around the tools that the model asks for
    toolbox.py   tool runs: one that fails, one that is tried again, one that is a command

Around them: ``survey.py index.py syntax.py`` look at the directory, ``models.py offline.py`` are the models, ``processes.py
summary.py`` start what must be started and say how it went. How to read what it leaves behind: ``docs/demo.md``.
"""

from __future__ import annotations


def main(argv: list[str] | None = None) -> int:
    """Run ``agentlog demo``; returns an exit code."""
    from otel_agentlog.demo.__main__ import main as run

    return run(argv)
