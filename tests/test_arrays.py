from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from slicewise import arrays
from slicewise.arrays import read_arrays, write_arrays
from slicewise.errors import BundleError


def packed(**named: np.ndarray) -> bytes:
    return write_arrays(named)


def test_named_arrays_are_read_and_others_left() -> None:
    found = read_arrays(packed(a=np.arange(3), b=np.ones(2), c=np.zeros(1)), {"b": "f", "a": "i"})
    assert list(found) == ["b", "a"]
    assert found["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"b": np.ones(2)}, "expected arrays a; "),
        ({"a": np.array([1.0, np.inf])}, "a: expected finite numbers"),
        ({"a": np.arange(3)}, "a: expected finite numbers of kind f"),
        ({"a": np.array(["text"])}, "a: expected finite numbers"),
        ({"a": np.array([{"an": "object"}], dtype=object)}, "expected arrays a; "),
    ],
)
def test_what_holds_something_else_is_refused(named: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read_arrays(packed(**named), {"a": "f"})


def test_a_broken_stream_is_refused() -> None:
    content = bytearray(packed(a=np.random.default_rng(0).normal(size=500)))
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    with pytest.raises(BundleError, match="expected arrays a"):
        read_arrays(bytes(content), {"a": "f"})


def test_a_header_that_claims_too_much_is_refused() -> None:
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", array.getvalue())
    with pytest.raises(BundleError, match="expected arrays a"):
        read_arrays(stream.getvalue(), {"a": "f"})


def test_what_would_fill_the_memory_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MOST_BYTES", 1000)
    with pytest.raises(BundleError, match="expected 1000 bytes or fewer; got "):
        read_arrays(packed(a=np.zeros(10_000)), {"a": "f"})
