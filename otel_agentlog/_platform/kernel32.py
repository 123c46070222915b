"""The calls of Windows that Python does not have. Handles are numbers; all raise `OSError` with ``winerror``."""

from __future__ import annotations

import ctypes
import sys
from ctypes import byref, wintypes

assert sys.platform == "win32"

FILE_LIST_DIRECTORY = 0x1
FILE_ADD_FILE = 0x2
FILE_APPEND_DATA = 0x4
FILE_WRITE_ATTRIBUTES = 0x100
SYNCHRONIZE = 0x10_0000
GENERIC_READ = 0x8000_0000
GENERIC_WRITE = 0x4000_0000

SHARE_READ, SHARE_WRITE, SHARE_DELETE = 0x1, 0x2, 0x4

CREATE_NEW, CREATE_ALWAYS, OPEN_EXISTING, OPEN_ALWAYS, TRUNCATE_EXISTING = 1, 2, 3, 4, 5

BACKUP_SEMANTICS = 0x0200_0000
"""Without it no folder can be opened."""
OPEN_REPARSE_POINT = 0x0020_0000
"""Open a link itself, not what it stands for."""

SHARING_VIOLATION, LOCK_VIOLATION, ACCESS_DENIED, INVALID_PARAMETER, HANDLE_EOF = 32, 33, 5, 87, 38

_LOCK_AT_ONCE, _LOCK_EXCLUSIVELY = 0x1, 0x2
_QUERY_LIMITED_INFORMATION = 0x1000
_STILL_ACTIVE = 259
_EPOCH_TICKS = 116_444_736_000_000_000
"""The Unix epoch in Windows' time: units of 100 ns since 1601."""
_LONGEST_NAME = 257
_INVALID = ctypes.c_void_p(-1).value

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)


class _Overlapped(ctypes.Structure):
    _fields_ = (
        ("internal", ctypes.c_void_p),
        ("internal_high", ctypes.c_void_p),
        ("offset", wintypes.DWORD),
        ("offset_high", wintypes.DWORD),
        ("event", wintypes.HANDLE),
    )


class _Memory(ctypes.Structure):
    _fields_ = (
        ("size", wintypes.DWORD),
        ("page_faults", wintypes.DWORD),
        ("peak_working_set", ctypes.c_size_t),
        ("working_set", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 6),
    )


_kernel.CreateFileW.restype = _kernel.ReOpenFile.restype = wintypes.HANDLE
_kernel.OpenProcess.restype = _kernel.GetCurrentProcess.restype = wintypes.HANDLE


def _failed() -> OSError:
    return ctypes.WinError(ctypes.get_last_error())


def _checked(handle: int | None) -> int:
    if handle is None or handle == _INVALID:
        raise _failed()
    return handle


def create_file(path: str, access: int, share: int, disposition: int, flags: int) -> int:
    """Open or make a file, or open a folder; returns its handle, which no child inherits."""
    return _checked(_kernel.CreateFileW(path, access, share, None, disposition, flags, None))


def reopen(handle: int, access: int, share: int, flags: int) -> int:
    """Open what is open once more, whatever it is called by now."""
    return _checked(_kernel.ReOpenFile(wintypes.HANDLE(handle), access, share, flags))


def close_handle(handle: int) -> None:
    """Close a handle that no descriptor has."""
    _kernel.CloseHandle(wintypes.HANDLE(handle))


def final_path(handle: int) -> str:
    r"""The path of what is open, as it is called now; begins with ``\\?\``, so it may be longer than 260 characters."""
    length = 512
    while True:
        text = ctypes.create_unicode_buffer(length)
        found = _kernel.GetFinalPathNameByHandleW(wintypes.HANDLE(handle), text, length, 0)
        if not found:
            raise _failed()
        if found < length:
            return text.value
        length = found + 1


def lock_range(handle: int, offset: int, *, exclusive: bool) -> None:
    """Lock one byte, which need not be there, without waiting."""
    flags = _LOCK_AT_ONCE | (_LOCK_EXCLUSIVELY if exclusive else 0)
    if not _kernel.LockFileEx(wintypes.HANDLE(handle), flags, 0, 1, 0, byref(_at(offset))):
        raise _failed()


def unlock_range(handle: int, offset: int) -> None:
    """Unlock it."""
    if not _kernel.UnlockFileEx(wintypes.HANDLE(handle), 0, 1, 0, byref(_at(offset))):
        raise _failed()


def read_at(handle: int, size: int, offset: int) -> bytes:
    """Read from a place in a file; less than ``size`` bytes at its end."""
    data, done = ctypes.create_string_buffer(size), wintypes.DWORD()
    if not _kernel.ReadFile(wintypes.HANDLE(handle), data, size, byref(done), byref(_at(offset))):
        if ctypes.get_last_error() == HANDLE_EOF:
            return b""
        raise _failed()
    return data.raw[: done.value]


def write_at(handle: int, data: bytes, offset: int) -> int:
    """Write to a place in a file; returns how many bytes."""
    done = wintypes.DWORD()
    if not _kernel.WriteFile(wintypes.HANDLE(handle), data, len(data), byref(done), byref(_at(offset))):
        raise _failed()
    return done.value


def set_times(handle: int, accessed_ns: int, changed_ns: int) -> None:
    """Set when a file was read and changed last, as Unix nanoseconds."""
    accessed, changed = _filetime(accessed_ns), _filetime(changed_ns)
    if not _kernel.SetFileTime(wintypes.HANDLE(handle), None, byref(accessed), byref(changed)):
        raise _failed()


def process_began(pid: int) -> float | None:
    """When a process began, as Unix seconds; ``None``: it has ended."""
    handle = _checked(_kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid))
    try:
        code, began, others = wintypes.DWORD(), wintypes.FILETIME(), [wintypes.FILETIME() for _ in range(3)]
        if not _kernel.GetExitCodeProcess(wintypes.HANDLE(handle), byref(code)):
            raise _failed()
        if not _kernel.GetProcessTimes(wintypes.HANDLE(handle), byref(began), *map(byref, others)):
            raise _failed()
    finally:
        close_handle(handle)
    if code.value != _STILL_ACTIVE:
        return None
    return ((began.dwHighDateTime << 32 | began.dwLowDateTime) - _EPOCH_TICKS) / 1e7


def own_memory() -> tuple[int, int]:
    """Bytes of memory that this process has, and had at most."""
    found = _Memory(size=ctypes.sizeof(_Memory))
    current = wintypes.HANDLE(_kernel.GetCurrentProcess())
    if not _kernel.K32GetProcessMemoryInfo(current, byref(found), found.size):
        raise _failed()
    return found.working_set, found.peak_working_set


def user_name() -> str:
    """Who this process runs as."""
    length = wintypes.DWORD(_LONGEST_NAME)
    text = ctypes.create_unicode_buffer(_LONGEST_NAME)
    if not ctypes.WinDLL("advapi32", use_last_error=True).GetUserNameW(text, byref(length)):
        raise _failed()
    return text.value


def _at(offset: int) -> _Overlapped:
    return _Overlapped(offset=offset & 0xFFFF_FFFF, offset_high=offset >> 32)


def _filetime(unix_ns: int) -> wintypes.FILETIME:
    ticks = unix_ns // 100 + _EPOCH_TICKS
    return wintypes.FILETIME(ticks & 0xFFFF_FFFF, ticks >> 32)
