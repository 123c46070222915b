"""How a process begins: in a session of its own, within its limits, without the rights that it must not have.

Standard library only: this runs in the supervisor's process, between ``fork`` and ``exec``. Rights are given up by Landlock
(``<linux/landlock.h>``), and by `system_calls` where Landlock has none; the kernel enforces both for the process and all its
descendants. `not_enforced` names what neither covers.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.tools.process.system_calls import refuse_calls

assert sys.platform != "win32"

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER = 1, 38, 36
_libc = ctypes.CDLL(None, use_errno=True)
_O_PATH = getattr(os, "O_PATH", 0)

# Rights as bits: which of them a version of Landlock has, and which make sense for a file.
_READ_BITS = 0b1101
_REFER_BIT, _DEVICE_BIT = 1 << 13, 1 << 15
_WRITE_BITS = {
    1: 0b1_1111_1111_0010,
    2: 0b11_1111_1111_0010,
    3: 0b111_1111_1111_0010,
    4: 0b111_1111_1111_0010,
    5: 0b111_1111_1111_0010 | _DEVICE_BIT,
}
_FILE_BITS = 0b0100_0000_0000_0111 | _DEVICE_BIT
# Abstract Unix sockets are confined with the network; signals in every sandbox.
_NETWORK_BITS, _ABSTRACT_BIT, _SIGNAL_BIT = 0b11, 0b01, 0b10
_REFER_VERSION, _NETWORK_VERSION, _TRUNCATE_VERSION, _DEVICE_VERSION, _SIGNAL_VERSION = 2, 4, 3, 5, 6
# What a superuser keeps in a sandbox: rights over files and ids (0 to 8), the network, locked memory, chroot. Others reach beyond
# it: with CAP_PERFMON alone the environment of every process can be read.
_KEPT_CAPABILITIES = frozenset({*range(9), 10, 11, 12, 13, 14, 18})
_PR_CAPBSET_DROP, _CAPABILITY_VERSION, _CAPABILITIES = 24, 0x2008_0522, 64
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RESET_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGPIPE", "SIGXFSZ", "SIGCHLD")


def become_reaper() -> None:
    """From now on every orphan below this process becomes its child (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(option, value, 0, 0, 0)


def start(spec: dict[str, Any]) -> tuple[int, tuple[str, int] | None]:
    """Fork and execute; the process id, and where it failed with which errno."""
    read_end, write_end = os.pipe()  # closed by a successful exec
    try:
        pid = os.fork()
    except OSError as error:
        raise_interrupt()
        return 0, ("start", error.errno or 0)
    if pid == 0:
        stage = "start"
        try:
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            stage = "cwd"
            os.chdir(spec["cwd"])
            stage = "limits"
            _limit(spec)
            stage = "sandbox"
            _confine(spec["sandbox"])
            for name in _RESET_SIGNALS:
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            stage = "exec"
            os.execve(spec["path"], spec["argv"], spec["env"])  # noqa: S606 - running programs is what this is for
        except BaseException as error:  # noqa: BLE001 - this process is a fork that must not return into the caller's code
            os.write(write_end, f"{stage} {getattr(error, 'errno', None) or 0}".encode())
        os._exit(127)
    os.close(write_end)
    words = os.read(read_end, 64).decode().split()
    os.close(read_end)
    if not words:
        return pid, None
    os.waitpid(pid, 0)
    return pid, (words[0], int(words[1]))


def _limit(spec: dict[str, Any]) -> None:
    for name, value in spec["rlimits"].items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue  # this system has no such limit
        _, hard = resource.getrlimit(kind)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))
    if spec["no_new_privileges"]:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _confine(sandbox: dict[str, Any]) -> None:
    """Drop the rights that the sandbox does not allow. Raises `OSError` where the kernel cannot."""
    if not sandbox:
        return
    _drop_capabilities()
    version = _landlock(_CREATE_RULESET, None, 0, 1)
    read = _READ_BITS if "read" in sandbox else 0
    write = _WRITE_BITS[min(version, max(_WRITE_BITS))] if "write" in sandbox else 0
    net = _NETWORK_BITS if sandbox.get("network") is False else 0
    if net and version < _NETWORK_VERSION:
        raise OSError(38, "no network rules")
    # Without the right to move files between folders Landlock refuses that in every folder.
    move = _REFER_BIT if read and not write and version >= _REFER_VERSION else 0
    fields = [read | write | move]
    fields += [net] if version >= _NETWORK_VERSION else []
    fields += [_SIGNAL_BIT | (_ABSTRACT_BIT if net else 0)] if version >= _SIGNAL_VERSION else []
    attributes = b"".join(field.to_bytes(8, sys.byteorder) for field in fields)
    ruleset = _landlock(_CREATE_RULESET, attributes, len(attributes), 0)
    if move:
        _allow(ruleset, "/", move)
    for path in sandbox.get("read", ()):
        _allow(ruleset, path, read)
    for path in sandbox.get("write", ()):
        _allow(ruleset, path, read | write)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _landlock(_RESTRICT_SELF, ruleset, 0)
    refuse_calls(sandbox)


def _drop_capabilities() -> None:
    """Give up those that are not kept, for good; a user without any has nothing to give up."""
    for number in range(_CAPABILITIES):
        if number not in _KEPT_CAPABILITIES:
            _prctl(_PR_CAPBSET_DROP, number)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    if _libc.capget(header, sets) == 0:
        kept = sum(1 << number for number in _KEPT_CAPABILITIES)
        # Three sets of 32 (effective, permitted, inheritable), and the same of the upper numbers, none of which is kept.
        sets = (ctypes.c_uint32 * 6)(*(each & kept for each in sets[:3]), 0, 0, 0)
        if _libc.capset(header, sets) != 0:
            raise OSError(ctypes.get_errno(), "capset")


def not_enforced(sandbox: Mapping[str, Any]) -> tuple[str, ...]:
    """What a sandbox with these rights leaves open on this kernel, one sentence each; nothing where there is no sandbox."""
    return _gaps(sandbox, _version()) if sandbox else ()


def _gaps(sandbox: Mapping[str, Any], version: int) -> tuple[str, ...]:
    write = "write" in sandbox
    gaps = {
        "read: which files there are, their size, times, attributes and link targets; watching them": "read" in sandbox,
        "read: names, arguments and figures of other processes in /proc": "read" in sandbox,
        "write: truncation of files (Linux 6.2)": write and version < _TRUNCATE_VERSION,
        "write: commands to devices (ioctl, Linux 6.10)": write and version < _DEVICE_VERSION,
        "write: mode, owner, times and attributes of files (attributes is true)": write and bool(sandbox.get("attributes")),
        "signals to other processes (Linux 6.12)": version < _SIGNAL_VERSION,
        "priority and CPU affinity of other processes": True,
        "use of CPU, processes and disk space": True,
    }
    return tuple(gap for gap, is_open in gaps.items() if is_open)


def _version() -> int:
    try:
        return _landlock(_CREATE_RULESET, None, 0, 1)
    except OSError:
        raise_interrupt()
        return 0


def _allow(ruleset: int, path: str, bits: int) -> None:
    try:
        fd = os.open(path, _O_PATH | os.O_CLOEXEC)
    except OSError:
        raise_interrupt()
        return  # what is not there needs no right
    bits &= ~0 if os.path.isdir(path) else _FILE_BITS
    if bits:
        _landlock(_ADD_RULE, ruleset, 1, bits.to_bytes(8, sys.byteorder) + fd.to_bytes(4, sys.byteorder), 0)
    os.close(fd)


def _landlock(number: int, *arguments: Any) -> int:
    sized = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *sized))
    if result < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return result
