"""`lazy_pattern`: a regular expression that is compiled when it is first used, for tables of which a process may need none."""

from __future__ import annotations

import re
from typing import Any, AnyStr


def lazy_pattern(source: AnyStr, flags: int | re.RegexFlag = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` gives, for all that is asked of it by name: ``search``, ``match``, ``sub``, ``pattern`` …"""
    return _LazyPattern(source, flags)  # type: ignore[return-value]  # it has the same names


class _LazyPattern:
    def __init__(self, *made_of: Any) -> None:
        self._made_of = made_of

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(*self._made_of), name)
        setattr(self, name, found)  # so that the next call is as quick as that of a pattern
        return found
