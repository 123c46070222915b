"""Texts for property tests: snippets with and without secrets, glued together in any way."""

from __future__ import annotations

from itertools import islice

from hypothesis import strategies as st

from tests.record.redaction.near_misses import near_misses
from tests.record.redaction.secret_corpus import planted

GLUE = st.sampled_from(["", "", " ", "\n", ", ", '"', "\\n", "=", ": ", " – "])
_PLANTED = sorted({p.text for p in islice((*planted(0), *planted(1)), 0, None, 7)})
SNIPPETS = st.sampled_from(_PLANTED + near_misses(5, 4000).split("\n")[:30])
TEXTS = st.lists(st.tuples(SNIPPETS | st.text(max_size=12), GLUE), max_size=5).map(lambda parts: "".join(a + b for a, b in parts))
