"""A reader that misbehaves in each way that the fuzzer has to notice."""

import ctypes
import os
import time
import warnings

import imagecodecs
import numpy as np
from pydicom.uid import JPEGLosslessSV1

from builders_imaging import encapsulated_bytes, ramp
from slicewise.errors import ConfigError, InternalError, LimitError, UnsupportedImageError
from slicewise.imaging.read import read_slices


class Panic(BaseException):
    """What decoders in Rust raise."""


def _print_in_c():
    ctypes.CDLL(None).puts(b"from C")


def _warn(category):
    warnings.warn("look out", category, stacklevel=1)


def _allocate():
    np.ones(130_000_000)


def _raise(error):
    raise error


ACTS = {
    "reads": lambda: None,
    "refuses": lambda: _raise(UnsupportedImageError("no")),
    "deprecated": lambda: _warn(DeprecationWarning),
    "raises": lambda: _raise(ValueError("broken")),
    "faulty": lambda: _raise(InternalError("a fault")),
    "misplaced": lambda: _raise(ConfigError("not of an input")),
    "panics": lambda: _raise(Panic("in Rust")),
    "exits": lambda: _raise(SystemExit(3)),
    "prints": lambda: print("hello"),
    "prints-below": lambda: os.write(2, b"from a library"),
    "prints-in-c": _print_in_c,
    "warns": lambda: _warn(RuntimeWarning),
    "hangs": lambda: time.sleep(60),
    "allocates": _allocate,
    "exhausts": lambda: _raise(LimitError("expected an image that fits into memory")),
    "aborts": os.abort,
    "crashes": lambda: ctypes.string_at(0),
}


def misbehave(case):
    ACTS[case.name]()


def read_precisions(_):
    """Read lossless JPEG of four grey levels whose header claims each number of bits."""
    values = ramp(32, 32, dtype=np.uint8) % 4
    codestream = bytearray(imagecodecs.ljpeg_encode(values))
    at = codestream.index(b"\xff\xc3") + 4
    for bits in range(2, 9):
        codestream[at] = bits
        read_slices(encapsulated_bytes(values, bytes(codestream), JPEGLosslessSV1))
