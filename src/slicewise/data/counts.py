"""Counted things in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 slice`, `2,000 slices`.

    Args:
        number: How many.
        noun: In the singular; its plural ends in s.
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
