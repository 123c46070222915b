"""A program that records and then ends in one of many ways, run by the tests. Usage: endings_program.py WAY ROOT

Each record is said on stdout as soon as its call has returned.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import otel_agentlog as agentlog

RECORDS = 30

by_hand: list[agentlog.Task] = []


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


def record(task: agentlog.Task) -> None:
    log = agentlog.get_logger("endings")
    for number in range(RECORDS):
        task.output(f"record {number}", number=number)
        say(str(number))
        log.info("line", number=number)


def in_thread(work: Callable[[], Any]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def wait_for_the_end() -> None:
    say("ready")
    while True:
        time.sleep(60)


def exit_now(signum: int, frame: Any) -> None:
    sys.exit(5)


def die_again(signum: int, frame: Any) -> None:
    say("handled")
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


def fail() -> None:
    raise ValueError("nobody catches this")


def be_busy() -> None:
    def work() -> None:
        while True:
            with contextlib.suppress(Exception):
                agentlog.current_operation()

    threading.Thread(target=work, daemon=True).start()


def overflow() -> None:
    overflow()


def abort() -> None:
    faulthandler.disable()
    os.abort()


def execute() -> None:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-c", "raise SystemExit(6)"])


def handled(handler: Callable[[int, Any], Any]) -> Callable[[], None]:
    def work() -> None:
        signal.signal(signal.SIGTERM, handler)
        with agentlog.step("after the handler was installed"):
            wait_for_the_end()

    return work


def graceful() -> None:
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda signum, frame: asked.set())
    with agentlog.task("inner", task_id="inner"):
        say("ready")
        asked.wait(60)


WAYS: dict[str, Callable[[], Any]] = {
    "return": lambda: None,
    "sys.exit": lambda: sys.exit(3),
    "unhandled exception": fail,
    "exception in a thread": lambda: in_thread(fail),
    "sys.exit in a thread": lambda: in_thread(lambda: sys.exit(4)),
    "os._exit in a thread": lambda: in_thread(lambda: os._exit(8)),
    "busy daemon thread": be_busy,
    "recursion without end": overflow,
    "SIGINT": wait_for_the_end,
    "SIGTERM": wait_for_the_end,
    "SIGHUP": wait_for_the_end,
    "SIGTERM handler before, sys.exit": wait_for_the_end,
    "SIGTERM handler after, sys.exit": handled(exit_now),
    "SIGTERM handler after, os._exit": handled(lambda signum, frame: os._exit(9)),
    "SIGTERM handler after, dies again": handled(die_again),
    "SIGTERM handler, goes on to the end": graceful,
    "SIGTERM ignored": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "os._exit": lambda: os._exit(2),
    "abort": abort,
    "segmentation fault": lambda: ctypes.string_at(0),
    "execv": execute,
}


def main(way: str, root: str) -> None:
    if way == "SIGTERM handler before, sys.exit":
        signal.signal(signal.SIGTERM, exit_now)
    if way == "SIGTERM ignored":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    settings = {"directory": root, "log_directory": root + "-logs", "console": "off"}
    agentlog.configure(service_name="endings", recover_on_start=False, **settings)
    # Begun by hand: nothing but the end of the process ends it.
    by_hand.append(agentlog.task("by hand", task_id="by-hand").start())
    record(by_hand[0])
    with agentlog.task("t", task_id="t") as task, agentlog.step("outer"), agentlog.tool("inner"):
        record(task)
        WAYS[way]()


if __name__ == "__main__":
    main(*sys.argv[1:])
