"""The tests that are found are the same ones on any machine, in any process, at any time.

Two processes that share the tests between them each collect them, and end where they disagree.
"""

from __future__ import annotations

import re
import tempfile

import pytest

_LONGEST = 40
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes that are no short text are named by their argument: packed anew they may differ."""
    if not isinstance(val, bytes) or (
        len(val) <= _LONGEST and val.isascii() and val.decode().isprintable()
    ):
        return None
    return argname


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a test whose name or place in the order may not be the same the next time."""
    here = (tempfile.gettempdir(), str(config.rootpath))
    wrong = [f"{item.nodeid}: {why}" for item in items if (why := _unsteady(item, here))]
    if wrong:
        raise pytest.UsageError("\n".join(wrong))


def _unsteady(item: pytest.Item, here: tuple[str, ...]) -> str | None:
    name = item.name.partition("[")[2]
    if _ADDRESS.search(name):
        return "expected an id without the address of an object"
    given = getattr(item, "callspec", None)
    texts = [str(value) for value in given.params.values()] if given else []
    if any(text in name and text.startswith(tuple(f"{h}/" for h in here)) for text in texts):
        return "expected an id without a place of this machine"
    for mark in item.iter_markers("parametrize"):
        values = mark.kwargs.get("argvalues", mark.args[1] if len(mark.args) > 1 else ())
        if isinstance(values, set | frozenset):
            return "expected values in an order; a set has none"
    return None
