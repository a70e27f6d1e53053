"""`slicewise models`: the catalogue in text and JSON, weights into a cache."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from typer.testing import CliRunner

from slicewise.cli.main import app
from slicewise.errors import ConfigError
from slicewise.zoo.catalogue import CATALOGUE


def run(*words: str):
    return CliRunner().invoke(app, ["models", *words], catch_exceptions=False)


def test_the_zoo_in_text_has_a_line_for_each_network() -> None:
    lines = run("zoo").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *CATALOGUE]
    found = dict(zip(["name", *CATALOGUE], lines, strict=True))
    assert "4.0 M" in found["efficientnet_b0"]
    assert "MIT" in found["swin_t"]


def test_the_zoo_in_json_says_all_of_each_network() -> None:
    rows = {row["name"]: row for row in json.loads(run("zoo", "--json").stdout)["models"]}
    assert list(rows) == list(CATALOGUE)
    assert rows["vit_b_16"]["multiple"] == 16
    assert rows["medical_cnn"]["defaults"]["hidden"] == 128


def test_the_zoo_needs_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['slicewise', 'models', 'zoo']; import atexit; "
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); "
        "from slicewise.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"


def test_fetched_weights_are_named_with_their_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(*words: str, cache_dir: Path) -> str:
        asked.append((*words, cache_dir))
        return str(cache_dir / "model.safetensors")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    done = run("fetch", "resnet18", "--cache", str(tmp_path))
    assert asked == [("timm/resnet18.a1_in1k", "model.safetensors", tmp_path)]
    assert done.stdout == f"{tmp_path / 'model.safetensors'}\n"
    assert "(apache-2.0)" in done.stderr


@pytest.mark.parametrize("name", ["custom_cnn", "xception", "resnetv2_50_stages3"])
def test_what_is_not_published_cannot_be_fetched(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: no weights are published as safetensors"):
        run("fetch", name)
