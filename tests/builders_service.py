"""The service with a tiny bundle, a database of its own, and pictures to send to it."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from builders import CLASSES, head_pixels, head_with_spot, write_tiny_bundle
from builders_imaging import AXIAL, dicom_bytes, picture_bytes
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.inference.classifier import Answer, Classifier
from slicewise.service.app import create_app
from slicewise.service.services import Services
from slicewise.service.settings import Settings

HERE = "http://127.0.0.1:8000"
KEY = "k" * 40


def service_settings(folder: Path, **changed: Any) -> Settings:
    """A tiny bundle and an empty SQLite database in a folder."""
    bundle = folder / "bundle"
    if not bundle.exists():
        bundle.mkdir(parents=True)
        write_tiny_bundle(bundle)
    values: dict[str, Any] = {
        "bundle": bundle,
        "database_url": f"sqlite:///{folder / 'audit.db'}",
        "audit_key": KEY,
        "rate_limit": 0,
        **changed,
    }
    return Settings(**values)


@contextmanager
def running(settings: Settings) -> Iterator[TestClient]:
    """A client of a started service; closed at the end."""
    with TestClient(create_app(settings), base_url=HERE) as client:
        yield client


@contextmanager
def keyed(settings: Settings) -> Iterator[tuple[TestClient, dict[str, dict[str, str]]]]:
    """A client of a started service, and the headers of a key of every role."""
    with closing(KeyStore.open(settings.audit_log)) as keys:
        headers = {role.value: {"X-API-Key": keys.create(role.value, role)} for role in Role}
    with running(settings) as client:
        yield client, headers


def png(kind: int = 0, seed: int = 0, side: int = 128) -> bytes:
    """A head with the spot of one class, as an 8-bit PNG."""
    pixels = head_with_spot(kind, side, seed) / 1500 * 255
    return picture_bytes(np.clip(pixels, 0, 255).astype(np.uint8))


def files(*contents: bytes, field: str = "file", name: str = "slice") -> list[Any]:
    """What httpx takes for files, with names of their own."""
    return [(field, (f"{name}{i}.png", content)) for i, content in enumerate(contents)]


def series(count: int = 8, uid: str = "1.2.3") -> dict[str, bytes]:
    """One DICOM series, a file a slice."""
    return {
        f"s{i}.dcm": dicom_bytes(
            np.clip(head_pixels(96, seed=i), 0, 4095).astype(np.uint16),
            SeriesInstanceUID=uid,
            SOPInstanceUID=f"{uid}.{i + 1}",
            InstanceNumber=i + 1,
            ImageOrientationPatient=list(AXIAL),
            ImagePositionPatient=[0, 0, 3.0 * i],
            PixelSpacing=[1, 1],
        )
        for i in range(count)
    }


def data_root(folder: Path, count: int = 3) -> Path:
    """Pictures by label and a manifest of them all, every slice a group."""
    rows = []
    for kind, label in enumerate(CLASSES):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            path = folder / label / f"{label}_{i}.png"
            path.write_bytes(png(kind, seed=10 * kind + i))
            name, sha = f"{label}/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append(ManifestRow(name, label, "made", "", f"{label}{i}", "test", sha, 128, 128))
    Manifest(tuple(rows), folder).write(folder / "manifest.csv")
    return folder


def picture_of(text: str) -> Image.Image:
    """A base64 PNG as a picture."""
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",))


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem document of a response, which names no place of this machine."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == status
    assert set(said) >= {"type", "title", "status", "detail", "instance"}
    for place in ("/root", "/home", "site-packages", "pytest", ".py", "sqlite:"):
        assert place not in response.text
    found: dict[str, Any] = said
    return found


def services(client: TestClient) -> Services:
    """What answers behind a client."""
    found: Services = client.app.state.services
    return found


class Gate:
    """Holds every forward pass until it is opened."""

    def __init__(self, classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.reached = threading.Event()
        run = classifier.answer_ready

        def wait(*given: Any, **named: Any) -> list[Answer]:
            self.reached.set()
            self.open.wait(10)
            return run(*given, **named)

        monkeypatch.setattr(classifier, "answer_ready", wait)


def until(happened: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something that happens beside the request."""
    ends = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends
        time.sleep(0.01)
