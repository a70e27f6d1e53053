"""Text that every database keeps as it is."""

from __future__ import annotations


def can_be_kept(text: str) -> bool:
    """Whether a text holds neither NUL nor a lone surrogate, which PostgreSQL refuses."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
