"""What bad inputs cost in a warm process: time and peak memory beside an ordinary picture."""

from __future__ import annotations

import io
import multiprocessing
import resource
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from slicewise.imaging.slice import Failure
from slicewise.inference.classifier import Classifier
from slicewise.inference.predict import answer_inputs


def _png_header(side: int) -> bytes:
    """A PNG that claims to be side x side pixels, of a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        size = len(content).to_bytes(4, "big")
        return size + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    head = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes((side + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return buffer.getvalue()


def _tiny() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    return buffer.getvalue()


def inputs() -> dict[str, bytes]:
    """Name and content of each bad input."""
    noise = np.random.default_rng(0).integers(0, 255, (512, 512), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return {
        "empty.png": b"",
        "text.jpg": b"this is no picture\n" * 10,
        "truncated.png": buffer.getvalue()[:20_000],
        "one_pixel.png": _tiny(),
        "12000x12000.png": _png_header(12_000),
        "zeros_20MB.dcm": bytes(20_000_000),
        "bomb.zip": _zip({"a.png": bytes(200_000_000)}),
        "nested.zip": _zip({"inner.zip": _zip({"a.txt": b"x"})}),
        "dotdot.zip": _zip({"../../a.png": b"x"}),
    }


def measured(action: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds, and megabytes by which the peak of the process grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    action()
    elapsed = (time.perf_counter() - started) * 1000
    return elapsed, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def write_inputs(folder: str) -> None:
    """Write all bad inputs; run apart, since making them needs more memory than refusing them."""
    for name, content in inputs().items():
        (Path(folder) / name).write_bytes(content)


def main() -> None:
    """Measure and print."""
    classifier = Classifier.load()
    print("\nBad inputs, one warm process: time, growth of the process's peak memory")
    with tempfile.TemporaryDirectory() as folder:
        maker = multiprocessing.get_context("spawn").Process(target=write_inputs, args=(folder,))
        maker.start()
        maker.join()
        names = sorted(Path(folder).iterdir(), key=lambda path: path.stat().st_size)
        good = Path(folder) / "good.png"
        pixels = np.random.default_rng(1).integers(0, 255, (256, 256), dtype=np.uint8)
        Image.fromarray(pixels).save(good)
        list(answer_inputs([good], classifier))
        for path in names:
            _show(path, classifier)


def _show(path: Path, classifier: Classifier) -> None:
    found: list[object] = []
    spent, grown = measured(lambda: found.extend(answer_inputs([path], classifier)))
    error = next(item.error for item in found if isinstance(item, Failure))
    size = path.stat().st_size
    print(f"  {path.name:<16} {size:>11,} bytes {spent:7.1f} ms {grown:6.1f} MB  {error}")


if __name__ == "__main__":
    main()
