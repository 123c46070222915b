"""What the package asks of the operating system that is not the same on Linux, macOS and Windows (``docs/platforms.md``).

    posix.py     Linux and macOS: `os` itself, where that has it
    windows.py   the same by the calls of Windows
    kernel32.py  those of Windows' calls that Python does not have
    fork.py      what the child of a fork renews

One of the two sides is chosen when the package is imported; nothing is chosen later, and on POSIX most names are the functions of
`os`, so that a call costs what it cost there. What is promised of both sides, which `tests/platform/test_seam.py` tries on each:

- `open` opens what a name in an open folder (``dir_fd``) or a path stands for, never a link where the flags are those of this
  module, but for `READ_LINKED_FOLDER`. A descriptor is not inherited. A file that is open may be renamed, replaced and deleted.
- With `APPEND` each ``os.write`` lands behind all that is there, whoever writes at the same time.
- `rename` replaces what has the new name in one step. `stat`, `mkdir`, `unlink` and `rmdir` take names in a folder, too.
- `lock` is for the whole file or folder, does not wait, and hinders nobody who does not ask for it. It ends with `UNLOCK`, when
  `close` closes the descriptor, and with the process, however that ends. Raises `BlockingIOError` where another holds it.
- `sync`, `sync_folder` and `sync_file_system` return when the disk has it, as far as the system lets one know.
- `process_began` tells when a process began, so that one that has the number of another is not taken for it.
- Owners: where users have no numbers (Windows), `user_id` and ``st_uid`` are 0, and `HAS_OWNERS` is false.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from otel_agentlog._platform.windows import APPEND as APPEND
    from otel_agentlog._platform.windows import EXCLUSIVE as EXCLUSIVE
    from otel_agentlog._platform.windows import HAS_OWNERS as HAS_OWNERS
    from otel_agentlog._platform.windows import READ as READ
    from otel_agentlog._platform.windows import READ_FOLDER as READ_FOLDER
    from otel_agentlog._platform.windows import READ_LINKED_FOLDER as READ_LINKED_FOLDER
    from otel_agentlog._platform.windows import SHARED as SHARED
    from otel_agentlog._platform.windows import SYNC as SYNC
    from otel_agentlog._platform.windows import UNLOCK as UNLOCK
    from otel_agentlog._platform.windows import UPDATE as UPDATE
    from otel_agentlog._platform.windows import close as close
    from otel_agentlog._platform.windows import entry_stat as entry_stat
    from otel_agentlog._platform.windows import fchmod as fchmod
    from otel_agentlog._platform.windows import listdir as listdir
    from otel_agentlog._platform.windows import lock as lock
    from otel_agentlog._platform.windows import mkdir as mkdir
    from otel_agentlog._platform.windows import open as open
    from otel_agentlog._platform.windows import pread as pread
    from otel_agentlog._platform.windows import process_began as process_began
    from otel_agentlog._platform.windows import pwrite as pwrite
    from otel_agentlog._platform.windows import rename as rename
    from otel_agentlog._platform.windows import rmdir as rmdir
    from otel_agentlog._platform.windows import stat as stat
    from otel_agentlog._platform.windows import sync as sync
    from otel_agentlog._platform.windows import sync_file_system as sync_file_system
    from otel_agentlog._platform.windows import sync_folder as sync_folder
    from otel_agentlog._platform.windows import unlink as unlink
    from otel_agentlog._platform.windows import user_id as user_id
    from otel_agentlog._platform.windows import user_name as user_name
    from otel_agentlog._platform.windows import utime as utime
else:
    from otel_agentlog._platform.posix import APPEND as APPEND
    from otel_agentlog._platform.posix import EXCLUSIVE as EXCLUSIVE
    from otel_agentlog._platform.posix import HAS_OWNERS as HAS_OWNERS
    from otel_agentlog._platform.posix import READ as READ
    from otel_agentlog._platform.posix import READ_FOLDER as READ_FOLDER
    from otel_agentlog._platform.posix import READ_LINKED_FOLDER as READ_LINKED_FOLDER
    from otel_agentlog._platform.posix import SHARED as SHARED
    from otel_agentlog._platform.posix import SYNC as SYNC
    from otel_agentlog._platform.posix import UNLOCK as UNLOCK
    from otel_agentlog._platform.posix import UPDATE as UPDATE
    from otel_agentlog._platform.posix import close as close
    from otel_agentlog._platform.posix import entry_stat as entry_stat
    from otel_agentlog._platform.posix import fchmod as fchmod
    from otel_agentlog._platform.posix import listdir as listdir
    from otel_agentlog._platform.posix import lock as lock
    from otel_agentlog._platform.posix import mkdir as mkdir
    from otel_agentlog._platform.posix import open as open
    from otel_agentlog._platform.posix import pread as pread
    from otel_agentlog._platform.posix import process_began as process_began
    from otel_agentlog._platform.posix import pwrite as pwrite
    from otel_agentlog._platform.posix import rename as rename
    from otel_agentlog._platform.posix import rmdir as rmdir
    from otel_agentlog._platform.posix import stat as stat
    from otel_agentlog._platform.posix import sync as sync
    from otel_agentlog._platform.posix import sync_file_system as sync_file_system
    from otel_agentlog._platform.posix import sync_folder as sync_folder
    from otel_agentlog._platform.posix import unlink as unlink
    from otel_agentlog._platform.posix import user_id as user_id
    from otel_agentlog._platform.posix import user_name as user_name
    from otel_agentlog._platform.posix import utime as utime
