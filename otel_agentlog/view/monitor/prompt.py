"""The line that commands are typed into."""

from __future__ import annotations

from textual.events import Key
from textual.message import Message
from textual.widgets import Input


class Prompt(Input):
    """Hands over what was typed and is empty at once.

    Enter is taken here and not left to a binding, which is looked up after further keys have come: what is pasted or typed ahead
    would end in the same line.
    """

    class Typed(Message):
        """A line was typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def on_key(self, event: Key) -> None:
        """Hand over the line."""
        if event.key != "enter":
            return
        event.stop()
        event.prevent_default()
        text, self.value = self.value, ""
        self.post_message(self.Typed(text))
