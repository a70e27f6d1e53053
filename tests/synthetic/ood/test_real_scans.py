"""Views of pydicom's test files: real, varied, and of what they say."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.errors import InputError
from slicewise.synthetic.ood import real_scans
from slicewise.synthetic.ood.registry import kinds_of


def test_files_are_what_the_kinds_say() -> None:
    assert real_scans._pixels("J2K_pixelrep_mismatch.dcm").max() > 1000  # bone, Hounsfield units
    assert real_scans._pixels("CT_small.dcm").shape == (128, 128)
    assert real_scans._pixels("examples_overlay.dcm").shape == (300, 484)
    assert len(real_scans._frames("examples_ybr_color.dcm")) == 30


def test_narrow_windows_of_the_head_whiten_the_bone() -> None:
    white = [
        np.mean(real_scans.real_head_ct(np.random.default_rng(seed)).pixels > 250)
        for seed in range(12)
    ]
    assert max(white) > 0.1 > min(white)


def test_no_gate_is_fitted_on_them() -> None:
    names = {kind.name for kind in kinds_of("report only")}
    assert names == {"real_head_ct", "real_spine_ct", "real_abdomen_mr", "real_ultrasound"}


def test_without_pydicom_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_scans, "find_spec", lambda name: None)
    real_scans._frames.cache_clear()
    with pytest.raises(InputError, match="expected pydicom to be installed"):
        real_scans.real_spine_ct(np.random.default_rng(0))
