"""Decoders of others: kept quiet, and whose fault it is when an input cannot be read."""

from __future__ import annotations

import logging
import os
import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from threading import Lock, RLock

from slicewise.errors import InputError, InternalError, LimitError, SliceWiseError

_NO_MEMORY = "expected an image that fits into memory, got one that needs more than there is"

_lock = Lock()
_decoding_now = 0
_changed = ExitStack()
_stderr = RLock()
_LINE = re.compile(rb"[ -z|~]*\n?")  # words without braces, which a log in JSON has


@contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings and log records of Pillow and pydicom from stderr and from logs.

    They quote header values, which may be patient data. Filters and loggers belong to the whole
    program: the first thread that decodes changes them, the last one puts them back.
    """
    global _decoding_now
    with _lock:
        if not _decoding_now:
            _changed.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"(PIL|pydicom)(\.|$)")
            logger = logging.getLogger("pydicom")
            _changed.callback(setattr, logger, "propagate", logger.propagate)
            logger.propagate = False
            pillow = logging.getLogger("PIL")
            _changed.callback(pillow.setLevel, pillow.level)
            pillow.setLevel(logging.CRITICAL + 1)  # it has no handler, so Python would print
        _decoding_now += 1
    try:
        yield
    finally:
        with _lock:
            _decoding_now -= 1
            if not _decoding_now:
                _changed.close()


@contextmanager
def captured_stderr() -> Iterator[list[bytes]]:
    """Keep the lines that a C library prints to stderr, past Python, out of it.

    The stream belongs to the whole program: one thread does this at a time. What other threads
    write meanwhile, logs in JSON and the moves of a progress bar, is passed on at the end.

    Yields:
        A list that holds the lines, once this is over.
    """
    said: list[bytes] = []
    with _stderr, ExitStack() as stack:
        try:
            before = os.dup(2)
        except OSError:  # a program without stderr
            yield said
            return
        stack.callback(os.close, before)
        file = stack.enter_context(TemporaryFile())
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(before, 2)
            file.seek(0)
            lines = re.split(rb"(?<=\n)", file.read())
            said += (line for line in lines if line and _LINE.fullmatch(line))
            os.write(before, b"".join(line for line in lines if not _LINE.fullmatch(line)))


@contextmanager
def decoding(what: str, got: str = "broken or truncated data") -> Iterator[None]:
    """Report any failure of a third-party decoder as an `InputError`; no memory as a `LimitError`.

    Nothing but the call of the decoder stands inside, so that a fault of our own is never told as
    a broken file. Decoders raise whatever their innermost parser happened to raise, so everything
    is caught. Their words are left out: they may quote header values, and those may name a patient.

    Args:
        what: What is decoded, for the message.
        got: What a failure says of it.
    """
    try:
        yield
    except (SliceWiseError, ImportError):  # a broken installation is not a broken file
        raise
    except MemoryError as error:
        raise LimitError(_NO_MEMORY) from error
    except Exception as error:
        raise InputError(f"expected a readable {what}, got {got}") from error


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
