"""The page in headless Chromium: its first load, and DICOM series of 200 slices.

    python -m benchmarks.page

Beside it, in the same run, a client that asks for the pictures that the service draws
(`POST /v1/predict?explain=true`) for the first 50 of these slices, and one that asks for the maps
as numbers, which is what the page does. Nothing is asserted.
"""

from __future__ import annotations

import io
import shutil
import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright
from pydicom import dcmread
from pydicom.uid import generate_uid

import slicewise
from benchmarks.service_process import Server, running
from benchmarks.service_process import slicewise as service
from slicewise.synthetic.phantom_files import write_phantoms

SLICES, SIDES, DRAWN = 200, (256, 512), 50
_BUNDLE = Path(slicewise.__file__).parent / "models" / "four_class"
# How long it takes until the frame that follows an input is drawn.
_DRAWN = """(act) => new Promise((done) => {
  const at = (id) => document.getElementById(id);
  const start = performance.now();
  if (act === 'opacity') {
    at('opacity').value = String(20 + Math.floor(Math.random() * 60));
    at('opacity').dispatchEvent(new Event('input'));
  } else at('canvas').dispatchEvent(new KeyboardEvent('keydown', { key: act }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""


def write_series(folder: Path, side: int) -> list[Path]:
    """Slices of a phantom's series one after the other, a millimetre apart, as a single series."""
    drawn = sorted(write_phantoms(folder, 1, 1, side)[-1].parent.iterdir())
    out = folder / "long"
    out.mkdir()
    for number in range(SLICES):
        dataset = dcmread(drawn[number * len(drawn) // SLICES])
        dataset.InstanceNumber = number + 1
        dataset.ImagePositionPatient = [*dataset.ImagePositionPatient[:2], float(number)]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(out / f"{number:03d}.dcm")
    return sorted(out.iterdir())


def first_load(page: Any, address: str) -> tuple[float, int]:
    """Milliseconds until all is loaded, and the bytes that came."""
    page.goto(address)
    page.wait_for_selector("#health.good")
    return page.evaluate(
        "() => { const all = [performance.getEntriesByType('navigation')[0], "
        "...performance.getEntriesByType('resource')]; "
        "return [all[0].loadEventEnd, all.reduce((sum, one) => sum + one.transferSize, 0)]; }"
    )


def series(page: Any, files: list[Path]) -> dict[str, float]:
    """Seconds to the first picture and to all answers, milliseconds a slice, and memory."""
    start = time.perf_counter()
    page.set_input_files("#files", [str(path) for path in files])
    page.wait_for_selector("#where:not(:empty)")
    first = time.perf_counter() - start
    page.wait_for_selector("#visit .state:has-text('Done')", timeout=300_000)
    answered = time.perf_counter() - start
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    found = {"first picture, s": first, "all answered, s": answered}
    for what, act in (("next slice", "ArrowDown"), ("window", "]"), ("opacity", "opacity")):
        steps = [page.evaluate(_DRAWN, act) for _ in range(60)]
        found[f"{what}, median ms"] = statistics.median(steps)
        found[f"{what}, longest ms"] = max(steps)
    found["requests meanwhile"] = len([url for url in asked if "readyz" not in url])
    found["memory of the tab, MB"] = renderer_mb()
    return found


def renderer_mb() -> float:
    """The largest process of a tab on this machine: its share of resident memory (PSS), MB."""
    largest = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                text = (process / "smaps_rollup").read_text()
                largest = max(largest, int(text.partition("\nPss:")[2].split()[0]) / 1000)
        except OSError:
            continue  # it has ended
    return largest


def as_client(server: Server, files: list[Path], explain: str) -> tuple[float, int]:
    """Seconds and bytes of one answer for several files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in files:
            archive.write(path, path.name)
    start = time.perf_counter()
    answer = httpx.post(
        f"http://127.0.0.1:{server.port}/v1/predict/batch",
        params={"explain": explain},
        files={"file": ("study.zip", packed.getvalue())},
        timeout=300,
    )
    answer.raise_for_status()
    return time.perf_counter() - start, len(answer.content)


def main() -> None:
    """Measure and print."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("chromium is not installed (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        kind = service(f"sqlite:///{folder / 'audit.db'}", _BUNDLE, threads=1)
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with running(kind, folder / "log") as server:
            address = f"http://127.0.0.1:{server.port}/"
            for side in SIDES:
                files = write_series(folder / str(side), side)
                page = browser.new_page()
                load_ms, size = first_load(page, address)
                print(f"\nThe page: loaded in {load_ms:.0f} ms, {size / 1000:.0f} kB")
                print(f"A series of {SLICES} slices, {side} x {side}")
                for what, value in series(page, files).items():
                    print(f"  {what:26} {value:8.2f}")
                page.close()
                numbers = as_client(server, files[:DRAWN], "map")
                pictures = as_client(server, files[:DRAWN], "true")
                ratio = numbers[0] / pictures[0]
                print(f"Answers for {DRAWN} of them, maps as numbers beside drawn pictures")
                print(f"  {numbers[0]:.2f} s, {numbers[1] / 1000:.0f} kB (every slice)")
                print(f"  {pictures[0]:.2f} s, {pictures[1] / 1000:.0f} kB (key slices alone)")
                print(f"  ratio of time {ratio:.2f}")
        browser.close()


if __name__ == "__main__":
    main()
