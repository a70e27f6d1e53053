"""The arithmetic of a chain: what ties a row to the one before it.

Every row carries an HMAC-SHA256 (RFC 2104) over its table, its place, its content and the code of
the row before. Who does not hold the key cannot change, remove, insert or reorder rows without a
code that no longer fits. Nothing here knows a database.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
"""A row without `seq` and `mac`: text, numbers, booleans and None by column."""

LINK = frozenset({"seq", "mac"})
"""Columns that hold a row's place and code, not its content."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chain ends: number and code of its last row; before the first, 0 and a code."""

    seq: int
    mac: str


class ChainKey:
    """The secret that codes are made with; kept out of `repr`, messages and the database."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = self._code(["slicewise audit key"])[:16]

    def beginning(self, chain: str) -> Place:
        """Where a chain without rows ends."""
        return Place(0, self._code(["beginning", chain]))

    def row_mac(self, chain: str, place: Place, values: Values) -> str:
        """Code of a row.

        What is None is left out, so that a column added later changes no code made before.

        Args:
            values: Its content; `seq` and `mac` are left out.
        """
        content = {
            name: value
            for name, value in sorted(values.items())
            if value is not None and name not in LINK
        }
        return self._code(["row", chain, place.seq, place.mac, content])

    def made(self, chain: str, before: Place, row: Values) -> bool:
        """Whether a row, as it was read, carries the code of its content and place."""
        try:
            return same(row["mac"], self.row_mac(chain, Place(row["seq"], before.mac), row))
        except (TypeError, ValueError):  # not finite, no text, no number: no code is made of it
            return False

    def sealed(self, chain: str, end: Place, seal: object) -> bool:
        """Whether a seal is that of where a chain ends, both as they were read."""
        try:
            return same(seal, self.seal(chain, end))
        except (TypeError, ValueError):
            return False

    def seal(self, chain: str, end: Place) -> str:
        """Code over where a chain ends, so that its end cannot be moved."""
        return self._code(["head", chain, end.seq, end.mac])

    def link(self, chain: str, end: Place, rows: Iterable[Values]) -> Iterator[dict[str, Any]]:
        """The next rows of a chain with `seq` and `mac`, each tied to the one before."""
        seq, mac = end.seq, end.mac
        for values in rows:
            seq += 1
            mac = self.row_mac(chain, Place(seq, mac), values)
            yield {**values, "seq": seq, "mac": mac}

    def _code(self, content: list[Any]) -> str:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def same(one: object, other: object) -> bool:
    """Whether both are text and equal, in time that does not depend on where they differ."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    return hmac.compare_digest(*(code.encode("utf-8", "surrogatepass") for code in (one, other)))
