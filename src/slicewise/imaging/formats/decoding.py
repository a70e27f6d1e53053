"""Whose fault it is when an input cannot be read: the file's, the machine's, or our own."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from slicewise.errors import InputError, InternalError, LimitError, SliceWiseError

_NO_MEMORY = "expected an image that fits into memory, got one that needs more than there is"


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Report any failure of a third-party decoder as an `InputError`.

    Nothing but the call of the decoder stands inside, so that a fault of our own is never told as
    a broken file. Decoders raise whatever their innermost parser happened to raise, so everything
    is caught. Their words are left out: they may quote header values, and those may name a patient.

    Raises:
        InputError: The decoder failed.
        LimitError: It ran out of memory.
    """
    try:
        yield
    except (SliceWiseError, ImportError):  # a broken installation is not a broken file
        raise
    except MemoryError as error:
        raise LimitError(_NO_MEMORY) from error
    except Exception as error:
        kind = type(error).__name__
        raise InputError(
            f"expected a readable {what}, got broken or truncated data ({kind})"
        ) from error


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Put the name of the input before the message of every error raised within.

    Raises:
        InputError: The same error, of the same class, with the name in front.
        LimitError: There was not enough memory.
        InternalError: Anything else: a fault of SliceWise. It names the place in the code, so that
            other inputs can be answered and the fault can be reported.
    """
    try:
        yield
    except InputError as error:
        if str(error).startswith((f"{source}: ", f"{source}!")):  # already named, or a member of it
            raise
        raise type(error)(f"{source}: {error}") from error
    except (SliceWiseError, ImportError):
        raise
    except MemoryError as error:
        raise LimitError(f"{source}: {_NO_MEMORY}") from error
    except Exception as error:
        raise InternalError(f"{source}: {_fault(error)}") from error


def _fault(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "slicewise" in frame.filename.split("/")] or frames
    place = f"{ours[-1].name}, line {ours[-1].lineno}"
    return (
        f"SliceWise failed ({type(error).__name__} in {place}); "
        "this is a fault of SliceWise, not of the file: please report it"
    )
