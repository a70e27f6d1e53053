"""One running service for the tests that do not change how it is set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from builders import decision_rule, write_tiny_bundle
from builders_service import running, service_settings


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with running(service_settings(tmp_path_factory.mktemp("service"))) as started:
        yield started


@pytest.fixture
def rival(tmp_path: Path) -> Path:
    """The folder of a bundle with another rule."""
    folder = tmp_path / "rival"
    folder.mkdir()
    write_tiny_bundle(folder, name="rival", decision=decision_rule(threshold=0.2))
    return folder
