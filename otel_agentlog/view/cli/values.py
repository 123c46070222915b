"""Makers of the types of options: a type turns an option's text into a value, or raises with what was expected and found."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def read_by(read: Callable[[str], Value]) -> Callable[[str], Value]:
    """A type by a function that raises `ValueError` with what was expected and found."""

    def value(text: str) -> Value:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value


def whole_number(what: str, most_digits: float = math.inf) -> Callable[[str], int]:
    """The type of whole numbers from 0; ``what`` is expected."""

    def value(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > most_digits:
            raise argparse.ArgumentTypeError(f"expected {what}, found {text!r}")
        return int(text)

    return value


def number_from(least: float, most: float, what: str) -> Callable[[str], float]:
    """The type of finite numbers between two, both among them; ``what`` is expected."""

    def value(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not least <= found <= most or found == math.inf:
            raise argparse.ArgumentTypeError(f"expected {what}, found {text!r}")
        return found

    return value
