"""How many log lines this thread has in the making, one within the other.

Of the thread and not a context variable: those are not safe to ask in the middle of being set, where a signal handler or a
finaliser may log (Python 3.11 crashes). A thread that works for another one takes the number over.
"""

from __future__ import annotations

import threading


class Nesting(threading.local):
    """The number, for each thread."""

    depth = 0


nesting = Nesting()
