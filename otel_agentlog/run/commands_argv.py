"""A command line as it may be shown: without the secrets that stand in it.

The rules for whatever is recorded see one argument at a time; in a command line a name and its secret are often two arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from otel_agentlog.run.process_mask import MASKED, Mask, is_secret

_OPTION = re.compile(r"--?([A-Za-z][\w.-]*)(=)?(.*)", re.DOTALL)
_ASSIGNED = re.compile(r"(?:[A-Za-z_]\w*)=")
_LOGIN = re.compile(r"([^:\s]+):(.+)", re.DOTALL)
_LOGIN_OPTIONS = ("-u", "--user", "--proxy-user", "-U")


def shown_argv(argv: Sequence[str], mask: Mask | None = None) -> list[str]:
    """The same arguments, each secret replaced; the mask knows them, and those that stand elsewhere."""
    known = set(secrets_in(argv))
    mask = Mask(known) if mask is None else mask
    return [argv[0], *(MASKED if word in known else mask.text(word) for word in argv[1:])]


def secrets_in(argv: Sequence[str]) -> Iterator[str]:
    """The secrets that a command line names: ``--token=x``, ``--password x``, ``API_KEY=x``, ``-u name:x``."""
    before = ""
    for word in argv[1:]:
        yield from _named(before, word)
        before = word


def _named(before: str, word: str) -> Iterator[str]:
    if _ASSIGNED.match(word):
        name, _, value = word.partition("=")
        yield from _if_secret(name, value)
    if (option := _OPTION.fullmatch(word)) is not None and option[2]:
        yield from _if_secret(option[1], option[3])
    elif option is None and (previous := _OPTION.fullmatch(before)) is not None and not previous[2]:
        yield from _if_secret(previous[1], word)
    if before in _LOGIN_OPTIONS and (login := _LOGIN.fullmatch(word)) is not None:
        yield login[2]


def _if_secret(name: str, value: str) -> Iterator[str]:
    if value and is_secret(name, value):
        yield value
