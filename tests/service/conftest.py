"""One running service for the tests that do not change how it is set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from builders_service import running, service_settings


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with running(service_settings(tmp_path_factory.mktemp("service"))) as started:
        yield started
