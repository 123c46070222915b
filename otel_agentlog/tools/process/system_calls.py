"""Refuses system calls that Landlock has no rights for: sockets, changes of files' attributes, io_uring, the machine's settings.

By a seccomp filter that libseccomp makes (``libseccomp.so.2``, which systemd, apt and Docker need as well). The filter sees
numbers, not paths: what is refused is refused for the process's own files too. A refused call fails with ``EPERM``, and so does
every call of a program of another architecture, whose numbers mean something else.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Mapping
from typing import Any, NamedTuple

from otel_agentlog._interrupts import raise_interrupt

_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000 | errno.EPERM
_ON_OTHER_ARCHITECTURE = 2
_UNEQUAL, _MASKED_EQUAL = 1, 7
_UNKNOWN = -1


class _Condition(NamedTuple):
    """What an argument must be for the call to be refused."""

    argument: int
    comparison: int
    first: int
    second: int = 0


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp`` of ``<seccomp.h>``."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def _is(argument: int, value: int, mask: int = 0xFFFF_FFFF) -> _Condition:
    return _Condition(argument, _MASKED_EQUAL, mask, value)


def _is_not(argument: int, value: int) -> _Condition:
    return _Condition(argument, _UNEQUAL, value)


_Refused = dict[str, tuple[tuple[_Condition, ...], ...]]
"""Calls, each with the alternatives that are refused; without any it is refused always."""

# io_uring makes sockets and sets attributes past every filter. Mounts are refused by Landlock where files are confined.
_ANY: _Refused = {
    **dict.fromkeys(("io_uring_setup", "io_uring_enter", "io_uring_register"), ()),
    **dict.fromkeys(("shmget", "shmat", "semget", "msgget", "mq_open", "mq_unlink", "add_key", "request_key", "keyctl"), ()),
    **dict.fromkeys(("reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"), ()),
    **dict.fromkeys(("swapon", "swapoff", "settimeofday", "stime", "clock_settime", "clock_adjtime", "adjtimex"), ()),
    **dict.fromkeys(("sethostname", "setdomainname", "acct", "quotactl", "quotactl_fd", "bpf", "perf_event_open"), ()),
    **dict.fromkeys(("open_by_handle_at", "setns", "syslog", "iopl", "ioperm", "vhangup", "pidfd_getfd"), ()),
    # Limits of another process; TIOCSTI types into a terminal.
    "prlimit64": ((_is_not(0, 0), _is_not(2, 0)),),
    "ioctl": ((_is(1, 0x5412),),),
}
# Pairs that are streams are no way out; from a pair of datagrams (2, and 3 means the same) any address can be reached.
_NETWORK: _Refused = {
    "socket": (),
    "socketpair": ((_is_not(0, 1),), (_is(1, 2, 0xF),), (_is(1, 3, 0xF),)),
}
_ATTRIBUTES: _Refused = {
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "fchmodat2"), ()),
    **dict.fromkeys(("chown", "lchown", "fchown", "fchownat", "chown32", "lchown32", "fchown32"), ()),
    **dict.fromkeys(("utime", "utimes", "futimesat", "utimensat", "utimensat_time64"), ()),
    **dict.fromkeys(("setxattr", "lsetxattr", "fsetxattr", "setxattrat"), ()),
    **dict.fromkeys(("removexattr", "lremovexattr", "fremovexattr", "removexattrat", "file_setattr"), ()),
    # FS_IOC_SETFLAGS and _SETVERSION of 64 and 32 bits, FS_IOC_FSSETXATTR, FS_IOC_SETFSLABEL.
    "ioctl": tuple((_is(1, number),) for number in (0x40086602, 0x40046602, 0x40087602, 0x40047602, 0x401C5820, 0x41009432)),
}
# Newer than some releases of libseccomp; such numbers are the same on every architecture.
_NUMBERS = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_getfd": 438,
    "quotactl_fd": 443,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
    "file_setattr": 469,
}


def refuse_calls(sandbox: Mapping[str, Any]) -> None:
    """Refuse, for this process and its descendants, what the sandbox does not allow. Raises `OSError` where it cannot."""
    library = _library()
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    if not context:
        raise OSError(errno.ENOMEM, "seccomp_init")
    _done(library.seccomp_attr_set(context, _ON_OTHER_ARCHITECTURE, ctypes.c_uint32(_REFUSE)))
    for refused in _refused(sandbox):
        for name, alternatives in refused.items():
            number = library.seccomp_syscall_resolve_name(name.encode())
            number = _NUMBERS.get(name, _UNKNOWN) if number == _UNKNOWN else number
            for conditions in alternatives or ((),):
                if number != _UNKNOWN:
                    _add(library, context, number, conditions)
    _done(library.seccomp_load(context))


def _refused(sandbox: Mapping[str, Any]) -> list[_Refused]:
    refused = [_ANY]
    if sandbox.get("network") is False:
        refused.append(_NETWORK)
    if "write" in sandbox and not sandbox.get("attributes"):
        refused.append(_ATTRIBUTES)
    return refused


def _library() -> Any:
    try:
        return ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise_interrupt()
        raise OSError(errno.ENOSYS, "libseccomp.so.2 is not there") from error


def _add(library: Any, context: ctypes.c_void_p, number: int, conditions: tuple[_Condition, ...]) -> None:
    array = (_Comparison * len(conditions))(*(_Comparison(*condition) for condition in conditions))
    _done(library.seccomp_rule_add_array(context, ctypes.c_uint32(_REFUSE), number, len(conditions), array))


def _done(result: int) -> None:
    if result < 0:
        raise OSError(-result, "seccomp")
