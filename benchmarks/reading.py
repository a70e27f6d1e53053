"""Reading a DICOM series of 12 slices, 256 x 256, beside plain pydicom.

    python -m benchmarks.reading [--rounds 100]

Both take turns in one process on the same files, and must give the same pixels; the figures are
medians of the ratios, of wall time and of processor time, which is steadier on a busy machine.
pydicom only reads, decodes, rescales and sorts; SliceWise also checks, groups and applies what a
header says. To compare two checkouts, run the command twice, the second time with
`PYTHONPATH=OTHER/src`, and compare the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.pixels import apply_rescale
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless

from slicewise.arrays import Array
from slicewise.imaging.read import read_inputs
from slicewise.imaging.slice import Series
from slicewise.synthetic.phantom_files import write_phantoms

_SIDE = 256
_SYNTAXES = (ExplicitVRLittleEndian, JPEG2000Lossless)


def write_series(folder: Path, syntax: UID) -> Path:
    """The folder of a phantom's series in a transfer syntax, with a rescale."""
    series = write_phantoms(folder, 1, 1, _SIDE)[-1].parent
    for path in series.iterdir():
        dataset = dcmread(path)
        dataset.RescaleSlope, dataset.RescaleIntercept = 2, -10
        if syntax.is_compressed:
            dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path)
    return series


def by_pydicom(series: Path) -> list[Array]:
    """(H, W) modality values of each slice, from below to above, as a short script has them."""
    datasets = [dcmread(path) for path in series.iterdir()]
    datasets.sort(key=lambda dataset: dataset.ImagePositionPatient[2])
    return [apply_rescale(d.pixel_array, d).astype(np.float32) for d in datasets]


def by_slicewise(series: Path) -> list[Array]:
    """The same by SliceWise."""
    (answer,) = read_inputs([series])
    assert isinstance(answer, Series)
    return [slice_.pixels for slice_ in answer.slices]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading")
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args(arguments).rounds
    print(f"\nReading 12 DICOM slices, {_SIDE} x {_SIDE}, {rounds} rounds: median (quartiles)")
    for syntax in _SYNTAXES:
        with tempfile.TemporaryDirectory() as folder:
            measure(syntax, write_series(Path(folder), syntax), rounds)


def measure(syntax: UID, series: Path, rounds: int) -> None:
    """Time both readers on a series, and print the ratios; at least two rounds."""
    np.testing.assert_array_equal(by_slicewise(series), by_pydicom(series))
    both = [(_times(by_pydicom, series), _times(by_slicewise, series)) for _ in range(rounds)]
    for clock, name in enumerate(("wall", "processor")):
        plain, ours = ([1000 * times[clock] for times in each] for each in zip(*both, strict=True))
        low, middle, high = statistics.quantiles(np.divide(ours, plain).tolist(), n=4)
        medians = f"{statistics.median(plain):6.1f} and {statistics.median(ours):6.1f} ms"
        told = f"{medians}, ratio {middle:.3f} ({low:.3f}-{high:.3f})"
        print(f"  {syntax.keyword:<22} {name:<9} time: {told}")


def _times(read: Callable[[Path], object], series: Path) -> tuple[float, float]:
    """Seconds of wall and of processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    read(series)
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
