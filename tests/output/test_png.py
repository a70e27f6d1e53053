"""Pictures are named before they are drawn, and no name of an input says where they go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders_explain import bundle, single, volume
from slicewise.errors import ConfigError
from slicewise.explain.overlay import OverlayStyle
from slicewise.imaging.slice import Failure, Slice
from slicewise.output.png import PngSink, with_pictures

SHARES = (0.7, 0.1, 0.15, 0.05)


def picture(source: str) -> Slice:
    return Slice(np.random.default_rng(0).random((64, 64), dtype=np.float32), source)


def test_pictures_are_numbered_through_all_series(tmp_path):
    series = volume([picture(f"s/v.nii#{k}") for k in range(2)], [0.1, 0.9], [1])
    items = [single(picture("a b.png"), SHARES), Failure("bad", "why"), series]
    first, failed, last = with_pictures(items, tmp_path / "maps")
    assert failed == items[1]
    names = [Path(one.prediction.heatmap) for one in (*first.answers, *last.answers)]
    assert [name.name for name in names] == ["0001_a_b.png", "0002_v_nii_0.png", "0003_v_nii_1.png"]
    assert {name.parent for name in names} == {tmp_path / "maps"}
    assert last.study == series.study


@pytest.mark.parametrize(
    "source", ["../../etc/x.png", "a.zip!../b.png", "C:\\x\\y.dcm", "\udce9\n"], ids=ascii
)
def test_no_source_leaves_the_folder(tmp_path, source):
    (item,) = with_pictures([single(picture(source), SHARES)], tmp_path)
    path = Path(item.answers[0].prediction.heatmap)
    assert path.parent == tmp_path
    assert path.name.isascii()


def test_a_sign_of_archives_in_a_name_cuts_nothing(tmp_path):
    (tmp_path / "a!b.png").touch()
    items = [single(picture(f"{tmp_path}/{name}"), SHARES) for name in ("a!b.png", "c.zip!d.png")]
    found = with_pictures(items, tmp_path)
    names = [Path(item.answers[0].prediction.heatmap).name for item in found]
    assert names == ["0001_a_b.png", "0002_d.png"]


def test_what_is_named_is_drawn(tmp_path):
    sink = PngSink(bundle(), OverlayStyle())
    (item,) = with_pictures([single(picture("a.png"), SHARES)], tmp_path / "maps")
    sink.write(item)
    sink.write(Failure("bad", "why"))
    sink.write(single(picture("unnamed.png"), SHARES))
    sink.close()
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["0001_a.png"]
    with Image.open(item.answers[0].prediction.heatmap) as drawn:
        assert drawn.format == "PNG"


def test_a_class_that_the_model_lacks_is_named(tmp_path):
    with pytest.raises(ConfigError, match="--target 'cyst': expected one of glioma, meningioma"):
        PngSink(bundle(), OverlayStyle(), "cyst")
