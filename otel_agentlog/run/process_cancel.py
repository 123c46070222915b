"""How one thread ends what another one runs."""

from __future__ import annotations

import selectors
import socket


class Cancellation:
    """Ends an execution from another thread; good for one execution."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self.asked = False

    def cancel(self) -> None:
        """Ask for the end; may be called more than once."""
        self.asked = True
        try:
            self._ours.send(b"c")
        except OSError:
            pass  # it has ended already

    def wait(self, seconds: float) -> bool:
        """Sleep, unless or until it is cancelled; whether it is."""
        if not self.asked:
            with selectors.DefaultSelector() as selector:
                selector.register(self.theirs, selectors.EVENT_READ)
                selector.select(seconds)
        return self.asked

    def close(self) -> None:
        """Let go of what it holds."""
        self._ours.close()
        self.theirs.close()
