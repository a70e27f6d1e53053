"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collected import pytest_collection_modifyitems, pytest_make_parametrize_id

__all__ = ["pytest_collection_modifyitems", "pytest_make_parametrize_id"]

# What the person or machine that runs the tests has set for services and proxies is not tested.
for _name in [name for name in os.environ if name.startswith("SLICEWISE_")]:
    if _name != "SLICEWISE_DATA":
        del os.environ[_name]
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public data that SLICEWISE_DATA names, or a skip."""
    named = os.environ.get("SLICEWISE_DATA")
    if not named:
        pytest.skip("SLICEWISE_DATA is not set")
    return Path(named)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a test reports to anybody."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
