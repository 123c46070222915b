"""Which releases of the GenAI conventions there are names of, and what each profile has of them.

``latest`` is v0.1.0, the first release of ``semantic-conventions-genai``, on v1.45.0 of the core conventions; ``2026-10`` is what
stood in that repository in October 2026; ``legacy`` is what dashboards of 2025 and early 2026 query; ``both`` is ``latest`` and
``legacy`` together.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Profile: TypeAlias = Literal["latest", "2026-10", "legacy", "both"]

NEWEST: frozenset[Profile] = frozenset({"latest", "both"})
"""Workflows are agents by their attributes and metrics; embeddings and retrievals have metrics of their own."""
BEFORE: frozenset[Profile] = frozenset({"2026-10", "legacy", "both"})
"""Workflows have names of their own."""
INFERENCE: frozenset[Profile] = frozenset({"latest", "2026-10", "both"})
"""Inferences have metrics of their own."""
LEGACY: frozenset[Profile] = frozenset({"legacy", "both"})
"""``gen_ai.system``, ``gen_ai.usage.cache_creation.input_tokens``, and the metrics of then."""
ALWAYS: frozenset[Profile] = BEFORE | NEWEST
