"""From decoded pixels to probabilities and raw heat map, beside ONNX Runtime's bare forward pass.

Both take turns in one process with one thread, on the bundled model; the figure is the ratio of
medians. Decoding, preprocessing and PNG writing are timed apart.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from slicewise.explain.overlay import draw_answer
from slicewise.imaging.preprocess import preprocess, to_batch
from slicewise.imaging.read import read_slices
from slicewise.inference.bundle import MODEL_NAME
from slicewise.inference.classifier import OUTPUTS, Classifier
from slicewise.inference.decision import probabilities_of
from slicewise.inference.runtime import ort
from slicewise.synthetic.phantom_files import write_phantoms

ROUNDS = 100
WARM_UP = 10


def interleaved(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each task, all tasks once a round, so that drift hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for round_ in range(rounds + WARM_UP):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if round_ >= WARM_UP:
                times[name].append((time.perf_counter() - started) * 1000)
    return times


def main() -> None:
    """Measure and print."""
    classifier = Classifier.load()
    with tempfile.TemporaryDirectory() as folder:
        path = write_phantoms(Path(folder), 1, 1)[0]
        raw = path.read_bytes()
    slice_ = read_slices(raw, "phantom.png")[0]
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    bare = ort.InferenceSession(
        classifier.bundle.files[MODEL_NAME], options, providers=["CPUExecutionProvider"]
    )
    spec, rule = classifier.bundle.info.preprocessing, classifier.bundle.info.decision
    image = preprocess(slice_.pixels, spec).image
    batch = to_batch(image[None])
    answer = classifier.answers([slice_])[0]

    def kernel() -> object:
        outputs = classifier.run(to_batch(image[None]))
        return probabilities_of(outputs.logits, rule.temperature), outputs.cam

    def write_picture() -> object:
        return draw_answer(slice_, answer).save(io.BytesIO(), "PNG")

    times = interleaved(
        {
            "bare forward pass (ONNX Runtime, logits only)": lambda: bare.run(
                ["logits"], {"image": batch}
            ),
            "bare forward pass (ONNX Runtime, all outputs)": lambda: bare.run(
                list(OUTPUTS), {"image": batch}
            ),
            "kernel: preprocessed pixels to probabilities and heat maps": kernel,
            "whole answer: slice to prediction": lambda: classifier.answers([slice_]),
            "decoding a 512 x 512 PNG": lambda: read_slices(raw, "phantom.png"),
            "preprocessing": lambda: preprocess(slice_.pixels, spec),
            "drawing and writing the picture": write_picture,
        },
        ROUNDS,
    )
    medians = {name: statistics.median(values) for name, values in times.items()}
    reference = next(iter(medians.values()))
    print(f"\nKernel, one thread, {spec.size} x {spec.size}, {ROUNDS} rounds")
    for name, value in medians.items():
        low, high = np.percentile(times[name], (10, 90))
        print(f"  {name:<60} {value:7.2f} ms ({low:.2f}-{high:.2f})  x {value / reference:.2f}")


if __name__ == "__main__":
    main()
