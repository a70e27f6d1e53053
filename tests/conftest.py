"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
