"""How long to wait before the next attempt: twice as long each time, half of it sure and half by lot.

One half is sure, so that nobody comes back at once; the other is by lot, so that not all come back together. The waits are
tenacity's; where that is not installed, what must do without it has the same waits from here.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenacity.wait import wait_base

_MANY = 64
"""Doublings after which every wait is at its limit."""


def growing_wait(first_wait_s: float, max_wait_s: float) -> wait_base:
    """The waits as a strategy of tenacity's. Raises `ImportError` where it is not installed."""
    import tenacity

    if not first_wait_s:
        # After some thousand attempts tenacity takes twice nothing for too much to be counted, and waits as long as it may.
        return tenacity.wait_none()
    sure = tenacity.wait_exponential(multiplier=first_wait_s / 2, max=max_wait_s / 2)
    return sure + tenacity.wait_random_exponential(multiplier=first_wait_s / 2, max=max_wait_s / 2)


def backoff_s(number: int, *, first_wait_s: float, max_wait_s: float) -> float:
    """Seconds to wait after the attempt of this number, from 1, has failed; also without tenacity."""
    try:
        import tenacity

        wait = growing_wait(first_wait_s, max_wait_s)
    except ImportError:
        half = min(max_wait_s, first_wait_s * 2.0 ** min(number - 1, _MANY)) / 2
        return half + random.uniform(0, half)  # noqa: S311 - spreads retries, guards nothing
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = number
    return float(wait(state))
