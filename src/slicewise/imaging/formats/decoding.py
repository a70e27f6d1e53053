"""Turn whatever a decoder raises into one of SliceWise's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from slicewise.errors import InputError, SliceWiseError


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Report any failure of a third-party decoder as an `InputError`.

    Decoders raise whatever their innermost parser happened to raise, so everything is caught. The
    text of the original is left out: it may quote header values, and those may name a patient.

    Args:
        what: What was being decoded, for the message.

    Raises:
        InputError: The decoder failed.
    """
    try:
        yield
    except (SliceWiseError, ImportError):  # a broken installation is not a broken file
        raise
    except Exception as error:
        kind = type(error).__name__
        raise InputError(
            f"expected a readable {what}, got broken or truncated data ({kind})"
        ) from (error)


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Put the name of the input before the message of every error raised within.

    Args:
        source: What to call the input.

    Raises:
        SliceWiseError: The same error, of the same class, with the name in front.
    """
    try:
        with decoding("image"):
            yield
    except InputError as error:
        if str(error).startswith((f"{source}: ", f"{source}!")):  # already named, or a member of it
            raise
        raise type(error)(f"{source}: {error}") from error
