"""Slices, or what belongs to them, a few at a time: as many as memory or one forward pass takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items in order, the last one perhaps shorter; each is read when asked for.

    Args:
        size: At least 1.
    """
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
