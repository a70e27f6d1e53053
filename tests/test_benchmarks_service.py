"""The benchmark of the service: what it calls the same, what it counts, whom it compares with."""

from __future__ import annotations

import base64
import importlib
import io
import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from builders import bundle_info
from slicewise.inference.bundle import MODEL_NAME, Bundle, bundled_model, load_bundle

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _from_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def module(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name}")


def picture(level: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), level, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


ALONE = {
    "label": "glioma",
    "decision": "accept",
    "probabilities": {"glioma": 0.9, "no_tumor": 0.1},
    "heatmap": picture(100),
}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, {}),
        ({"probabilities": {"glioma": 0.900009, "no_tumor": 0.1}}, {}),
        ({"probabilities": {"glioma": 0.90002, "no_tumor": 0.1}}, {"probabilities": 3}),
        ({"heatmap": picture(101)}, {}),
        ({"heatmap": picture(102)}, {"heatmap": 3}),
        ({"label": "no_tumor"}, {"label": 3}),
        ({"decision": "review", "heatmap": picture(0)}, {"decision": 3, "heatmap": 3}),
    ],
)
def test_the_same_within_the_limits(changed: dict[str, Any], wrong: dict[str, int]) -> None:
    load, alike = module("service_load"), module("service_alike")
    alone, together = load.Outcome(), load.Outcome()
    alone.answers["x"] = {"a": (200, json.dumps(ALONE))}
    together.answers["x"] = {"b": (200, json.dumps({**ALONE, **changed}))}
    together.times["x", "b"] = 3
    found = alike.differences(alone, together)
    assert (found.compared, dict(found.wrong)) == (3, wrong)


def test_another_status_or_a_missing_field_is_a_difference() -> None:
    load, alike = module("service_load"), module("service_alike")
    alone, together = load.Outcome(), load.Outcome()
    alone.answers["x"] = {"a": (200, json.dumps(ALONE))}
    together.answers["x"] = {"b": (422, json.dumps(ALONE)), "c": (200, json.dumps({}))}
    together.times["x", "b"] = together.times["x", "c"] = 1
    found = alike.differences(alone, together)
    assert found.compared == 2
    assert sum(found.wrong.values()) == 2


class Canned(BaseHTTPRequestHandler):
    """Answers 503 every third time, else an answer with an id of its own."""

    numbers = count(1)  # its next is atomic: every request runs in a thread of its own

    def do_POST(self) -> None:
        number = next(Canned.numbers)
        self.rfile.read(int(self.headers["Content-Length"]))
        busy = number % 3 == 0
        body = json.dumps({"id": f"id-{number}", "label": "glioma"}).encode()
        self.send_response(503 if busy else 200)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_load_generator_counts_what_a_server_did() -> None:
    load = module("service_load")
    Canned.numbers = count(1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Canned)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        asked = (load.Asked("one", "/x", b"abc", "text/plain"),)
        plan = load.Plan(server.server_port, asked, clients=4, count=20, keep="ids")
        got = load._drive(plan)
        answers = load._drive(load.Plan(server.server_port, asked, 1, count=6, keep="answers"))
    finally:
        server.shutdown()
        server.server_close()
    assert got.statuses == {200: 20}
    assert got.retries > 0
    assert len(got.ids) == len(set(got.ids)) == len(got.latencies_ms) == 20
    assert list(answers.times.values()) == [6]  # without their ids the answers are one


def asked_of_the_plain_app(bundle: Bundle) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """A picture of noise and what the app says about it."""
    client = module("plain_app").create_app(bundle).test_client()
    size = bundle.info.preprocessing.size
    grey = np.random.default_rng(0).integers(0, 255, (size, size), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    buffer.seek(0)
    answer = client.post("/predict", data={"file": (buffer, "a.png")}).get_json()
    overlay = Image.open(io.BytesIO(base64.b64decode(answer["heatmap"])))
    assert overlay.size == (size, size)
    return grey, answer


def test_the_plain_app_answers_as_a_bundle_of_its_weights_does() -> None:
    import torch

    from slicewise.data.tasks import FOUR_CLASS
    from slicewise.inference.classifier import Classifier
    from slicewise.training.export.graph import onnx_bytes, rounded
    from slicewise.training.network.config import ModelConfig
    from slicewise.training.network.model import create_network

    made_up = bundle_info(weight_storage="float16")
    origin = made_up.origin.model_copy(update={"architecture": "resnet18"})
    info = made_up.model_copy(update={"origin": origin})
    torch.manual_seed(1)
    network = create_network(ModelConfig(name="resnet18"), FOUR_CLASS, weights=None).eval()
    graph = onnx_bytes(rounded(network, "float16"), info.preprocessing.size, "float16")
    bundle = Bundle(info, "0", {MODEL_NAME: graph})
    grey, answer = asked_of_the_plain_app(bundle)
    logits = Classifier(bundle).run((grey.astype(np.float32) / 255)[None, None]).logits[0]
    expected = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum()
    assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-4)


def test_the_plain_app_has_the_network_of_the_bundled_model() -> None:
    """Its weights are whole numbers there, and random ones here."""
    bundle = load_bundle(bundled_model())
    _, answer = asked_of_the_plain_app(bundle)
    assert list(answer["probabilities"]) == list(bundle.classes)
    network = module("plain_app").torch_network(bundle)
    graph = onnx.load_model_from_string(bundle.files[MODEL_NAME]).graph
    shapes = Counter(
        tuple(t.dims) for t in graph.initializer if t.data_type == onnx.TensorProto.INT8
    )
    kernels = Counter(tuple(part.shape) for part in network.parameters() if part.ndim == 4)
    assert sum(kernels.values()) > 40
    assert not kernels - shapes


@pytest.mark.parametrize(
    ("rate", "alone", "passed"),
    [(0.6, 2.0, True), (0.59, 1.0, False), (0.9, 2.01, False), (0.9, None, False)],
)
def test_speed_is_judged_by_its_two_targets(rate: float, alone: float | None, passed: bool) -> None:
    measured = module("service_speed")
    against = {measured.RATE: rate} | ({} if alone is None else {measured.ALONE: alone})
    assert all(measured.targets(against).values()) is passed


def test_a_speed_that_was_missed_is_a_failure() -> None:
    judged = list(module("service")._judged({"speed": {"passed": False}}))
    assert judged == [{"passed": False}]


def test_the_mix_holds_every_kind_of_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = module("service_inputs")
    png = [base64.b64decode(picture(level)) for level in range(16)]
    monkeypatch.setattr(inputs, "_phantoms", lambda: (png, [b"DICOM"] * 3))
    asked = inputs.mixed()
    assert len({one.name for one in asked}) == len(asked)
    kinds = {one.name.split("?")[0].split(".")[-1] for one in asked}
    assert kinds >= {"png", "jpg", "tif", "dcm", "volume", "zip", "two", "one-bad", "empty"}
    assert all(one.content_type.startswith("multipart/form-data; boundary=") for one in asked)
    assert sum(b"b.png" in one.body for one in asked) == 8
