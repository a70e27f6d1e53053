"""The folders that requests may have read; nothing outside of them is ever opened for one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from slicewise.errors import AccessError, InputError
from slicewise.service.settings import PREFIX

_INDEX = re.compile(r"#\d+$")
_OUTSIDE = f"expected a path below one of the folders that the operator allows ({PREFIX}DATA_ROOTS)"


class DataRoots:
    """Allowed folders, with links in them followed; without any, nothing is allowed."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(root.resolve() for root in roots)
        self._names = sorted({str(root) for root in (*roots, *self._roots)}, key=len, reverse=True)

    def find(self, given: str) -> Path:
        """The file or folder that a request names: absolute, or relative to one of the roots.

        Raises:
            AccessError: It lies outside, itself or by a link; what is there is not looked at.
            InputError: There is none.
        """
        candidates = [self._resolved(root / given) for root in self._roots]
        inside = [path for path in candidates if self.holds(path)]
        if not inside:
            raise AccessError(_OUTSIDE, known=True)
        found = next((path for path in inside if os.path.exists(path)), None)  # noqa: PTH110 (never raises)
        if found is None:
            raise InputError("expected a file or folder below an allowed folder; there is none")
        if not (found.is_file() or found.is_dir()):  # a pipe would be waited for for ever
            raise InputError("expected a file or folder below an allowed folder; got neither")
        return found

    def holds(self, path: Path) -> bool:
        """Whether a resolved path lies below a root."""
        return any(path.is_relative_to(root) for root in self._roots)

    def require_all(self, references: Iterable[str | Path]) -> None:
        """Check files that a file below a root names.

        Args:
            references: Files, or `file#index`, as `imaging.read.read_slice` opens them.

        Raises:
            AccessError: One lies outside, itself or by a link.
        """
        for reference in map(str, references):
            whole, file = Path(reference), Path(_INDEX.sub("", reference))
            if not all(self.holds(self._resolved(path)) for path in (whole, file)):
                raise AccessError(_OUTSIDE, known=True)
            if file.exists() and not file.is_file():
                raise InputError("expected files; got something else")

    def hidden(self, text: str) -> str:
        """A text without the places of the roots on this machine."""
        for name in self._names:
            text = text.replace(f"{name}/", "").replace(name, ".")
        return text

    def hidden_in(self, found: Any) -> Any:
        """What JSON can say, with every text in it as `hidden` gives it."""
        if isinstance(found, str):
            return self.hidden(found)
        if isinstance(found, dict):
            return {self.hidden(name): self.hidden_in(value) for name, value in found.items()}
        if isinstance(found, list):
            return [self.hidden_in(value) for value in found]
        return found

    def _resolved(self, path: Path) -> Path:
        try:
            return path.resolve()
        except (OSError, ValueError, RuntimeError):
            raise InputError("expected a path that a file can have") from None
