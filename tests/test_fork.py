"""What runs in the child of a fork: one registry for the whole package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1] / "otel_agentlog"

PROGRAM = """
import os, sys
from otel_agentlog._platform.fork import after_fork_in_child

def fails(): raise ValueError("first")

class Each:
    def __init__(self, name):
        self.name = name
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self): print(self.name, flush=True)

after_fork_in_child(lambda: print("function", flush=True))
kept, gone = Each("kept"), Each("gone")
after_fork_in_child(fails)
last = Each("last")
del gone
if pid := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print("child", flush=True)
"""


def test_callbacks_run_in_the_child_in_order(tmp_path: Path) -> None:
    """All of them but those of dead objects, also after one that fails, whose error is printed; then the child goes on."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0
    assert done.stdout.split() == ["function", "kept", "last", "child"]
    assert "ValueError: first" in done.stderr


IMPORTING = """
import os, sys, threading
import lazy_package

def load(): lazy_package.slow_name

began = sys.slow_began = threading.Event()
thread = threading.Thread(target=load)
thread.start()
began.wait(30)
if pid := os.fork():
    thread.join()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os._exit(0 if lazy_package.slow_name == 7 else 1)
"""


def test_a_child_can_load_what_another_thread_was_loading(tmp_path: Path) -> None:
    """A fork waits for the first use of a lazy name: in the child the module's lock would be held for ever."""
    lazy_package = tmp_path / "lazy_package"
    lazy_package.mkdir()
    (lazy_package / "__init__.py").write_text(
        "from otel_agentlog._startup import lazy_names\n__all__, __getattr__ = lazy_names(__name__, {'slow': 'slow_name'})\n"
    )
    (lazy_package / "slow.py").write_text("import sys, time\nsys.slow_began.set()\ntime.sleep(0.5)\nslow_name = 7\n")
    (tmp_path / "program.py").write_text(IMPORTING)

    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, timeout=60)

    assert done.returncode == 0


def test_one_module_registers_with_the_interpreter() -> None:
    """Every other module registers with that one, under one name."""
    registering = {path.name for path in HOME.rglob("*.py") if "register_at_fork" in path.read_text()}
    calls = {
        call
        for path in HOME.rglob("*.py")
        for call in re.findall(r"^\s*after_fork_in_child\((.*)\)$", path.read_text(), re.MULTILINE)
    }

    assert registering == {"fork.py"}
    assert calls == {"_renew_after_fork", "self.renew_after_fork", "self._renew_after_fork"}


def test_callbacks_of_methods_end_quietly() -> None:
    """``weakref.WeakMethod`` prints an error if it is collected before its object at the end: no module uses it."""
    users = [path.name for path in HOME.rglob("*.py") if re.search(r"weakref\.WeakMethod\(", path.read_text())]

    assert users == []


ENDING = """
from otel_agentlog._platform.fork import _callbacks, after_fork_in_child

class Each:
    def renew_after_fork(self): pass

each = Each()
after_fork_in_child(each.renew_after_fork)
number, reference = _callbacks.popitem()
_callbacks[number] = reference
each.itself, each.reference = each, reference
del each, reference
import gc
gc.collect()
after_fork_in_child(print)
print(number in _callbacks)
"""


def test_an_object_that_is_collected_is_forgotten() -> None:
    """With the next registration; also one in a cycle with what holds it weakly."""
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("False\n", "")
