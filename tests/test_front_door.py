"""`from slicewise import ...`: what a program gets, and what it must not notice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import slicewise

NAMES = ["Classifier", "load_bundle", "predict", "read_slices"]


def run(code: str, *arguments: object) -> str:
    """What a fresh process prints."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names_are_those_of_the_modules() -> None:
    from slicewise.inference import bundle, classifier, predict

    assert slicewise.__all__ == NAMES
    assert set(NAMES) | {"__version__"} <= set(dir(slicewise))
    assert slicewise.Classifier is classifier.Classifier
    assert slicewise.load_bundle is bundle.load_bundle
    assert slicewise.predict is predict.predict
    assert slicewise.read_slices is predict.read_slices
    with pytest.raises(AttributeError, match="module 'slicewise' has no attribute 'pedict'"):
        slicewise.pedict  # noqa: B018
    with pytest.raises(ImportError, match="pedict"):
        from slicewise import pedict  # noqa: F401


LAZY = """
import sys, time
before, began = set(sys.modules), time.process_time()
import slicewise
took = time.process_time() - began
dir(slicewise)
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(took, *sorted(new - set(sys.stdlib_module_names)))
"""


def test_importing_loads_no_library_and_takes_no_time() -> None:
    took, *loaded = run(LAZY).split()
    assert loaded == ["slicewise"]
    assert float(took) < 0.05


STATE = """
import json, locale, logging, os, signal, sys, warnings
from pathlib import Path

import alembic, fastapi, nibabel, numpy as np, onnxruntime, PIL.Image, pydantic, pydicom, rich
import nibabel.orientations, pydicom.pixels.utils, PIL.PngImagePlugin, PIL.ImageOps

def state():
    signals = {s.name: signal.getsignal(s) for s in signal.valid_signals() if hasattr(s, "name")}
    loggers = [logging.getLogger(), *(l for l in logging.root.manager.loggerDict.values()
               if isinstance(l, logging.Logger))]
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "warnings": [str(one) for one in warnings.filters],
        "shown by": str(warnings.showwarning),
        "loggers": {l.name: (l.level, l.propagate, l.disabled, list(map(str, l.handlers)),
                    list(map(str, l.filters))) for l in loggers},
        "NumPy": (np.geterr(), str(np.get_printoptions())),
        "Pillow": (PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES),
        "pydicom": {name: str(value) for name, value in vars(pydicom.config).items()
                    if not name.startswith("_")},
        "signals": {name: str(handler) for name, handler in signals.items()},
        "locale": locale.setlocale(locale.LC_ALL),
        "hooks": (str(sys.excepthook), sys.getrecursionlimit(), str(sys.stdout), str(sys.stderr)),
        "random": str(np.random.get_state()),
    }

logging.getLogger("pydicom").propagate = True
before = state()
import slicewise
from slicewise import predict, read_slices
imported = state()
found = predict(sys.argv[1:], tta=True)
assert len(found) == 5 and len(found.studies) == 1 and len(found.errors) == 1, found
repr(found), found._repr_html_(), read_slices(sys.argv[1])
after = state()
new = set(after["loggers"]) - set(before["loggers"])
for name in new:  # made by asking for it, and left as it was made
    assert after["loggers"][name] == (0, True, False, [], []), name
    del after["loggers"][name]
print(json.dumps([before, {**imported, "loggers": before["loggers"]}, after], default=list))
"""


def inputs(folder: Path) -> list[Path]:
    """A picture, a DICOM series of one, a volume, and something broken."""
    import numpy as np

    from builders_imaging import dicom_bytes, nifti_bytes, picture_bytes

    rows, columns = np.mgrid[0:64, 0:64]
    head = (np.hypot(rows - 32, columns - 32) < 24) * (100 + rows + columns)
    (folder / "a.png").write_bytes(picture_bytes(head.astype(np.uint8)))
    (folder / "b.dcm").write_bytes(dicom_bytes(head.astype(np.uint16)))
    (folder / "c.nii").write_bytes(nifti_bytes(np.stack([head] * 3, 2).astype(np.float32)))
    (folder / "d.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return sorted(folder.iterdir())


def test_nothing_of_the_program_is_changed(tmp_path: Path) -> None:
    before, imported, after = json.loads(run(STATE, *inputs(tmp_path)))
    assert imported == before
    assert after == before


BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

EXTRAS = {
    "torch", "torchvision", "timm", "lightning", "onnx", "onnxscript", "safetensors", "optuna",
    "tensorboard", "matplotlib", "sklearn", "scipy", "pyarrow", "pandas", "psycopg", "mlflow",
}

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""
COMMAND = """
sys.argv = ["slicewise", "predict", "--json", sys.argv[1]]
from slicewise.cli.main import main
main()
"""
SERVICE = """
from pathlib import Path
from fastapi.testclient import TestClient
from slicewise.service.app import create_app
from slicewise.service.settings import Settings
folder = Path(sys.argv[2])
settings = Settings(database_url=f"sqlite:///{folder / 'audit.db'}", audit_key="k" * 40)
with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
    with open(sys.argv[1], "rb") as stream:
        answer = client.post("/v1/predict", files={"file": ("a.png", stream.read())})
    assert answer.status_code == 200, answer.text
    print("answer:" + answer.text)
"""


@pytest.mark.parametrize("use", [COMMAND, SERVICE], ids=["command line", "service"])
def test_no_extra_is_needed(use: str, tmp_path: Path) -> None:
    picture = inputs(tmp_path)[0]
    printed = run(BLOCKED + use, picture, tmp_path).rpartition("answer:")[2]
    found: Any = json.loads(printed)
    answer = found["predictions"][0] if "predictions" in found else found
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["bundle"]["name"] == "four_class"


WRONG_USES = [
    ("predict(png, threshold='x')", "threshold: expected a number from 0 to 1; got 'x'"),
    ("predict(png, threshold=True)", "threshold: expected a number from 0 to 1; got True"),
    ("predict(png, bundle=5)", "bundle: expected the path of a folder or a .zip; got int"),
    ("load_bundle(5)", "bundle: expected the path of a folder or a .zip; got int"),
    ("load_bundle('')", "bundle: expected the path of a folder or a .zip; got an empty one"),
    ("Classifier.load('')", "bundle: expected the path of a folder or a .zip; got an empty one"),
    ("Classifier('x')", "bundle: expected a Bundle, as load_bundle gives; got str"),
    ("predict(png, tta='yes')", "tta: expected True or False; got 'yes'"),
    ("Classifier.load().answers([], tta='yes')", "tta: expected True or False; got 'yes'"),
    ("Classifier.load(threads=0)", "threads: expected a whole number from 1 to 256; got 0"),
    ("predict(png, threads=[2])", r"threads: expected a whole number from 1 to 256; got \[2\]"),
    ("Classifier.load().answers('g.jpg')", "slices: expected a list of Slice, .*; got str"),
    ("Classifier.load().predict([png])", "slices: expected a list of Slice, .*; got .*Path in it"),
    ("predict('')", "inputs: expected a path, got an empty one; . is the working directory"),
    ("predict([png, ''])", r"inputs\[1\]: expected a path, got an empty one"),
    ("read_slices('')", "inputs: expected a path, got an empty one"),
    ("predict(Image.open(png))", r"got PngImageFile. Give its file, or np.asarray\(image"),
]


@pytest.mark.parametrize(("use", "told"), WRONG_USES, ids=[use for use, _ in WRONG_USES])
def test_an_argument_of_another_kind_is_named(use: str, told: str, tmp_path: Path) -> None:
    from PIL import Image

    from slicewise.errors import BundleError, ConfigError

    named = {name: getattr(slicewise, name) for name in NAMES}
    with pytest.raises((TypeError, ConfigError, BundleError), match=told):
        eval(use, {**named, "Image": Image, "png": inputs(tmp_path)[0]})  # noqa: S307


def test_bytes_may_be_of_any_kind(tmp_path: Path) -> None:
    png = inputs(tmp_path)[0].read_bytes()
    shares = [slicewise.predict(kind(png))[0].probabilities for kind in (bytes, bytearray)]
    assert slicewise.predict(memoryview(png))[0].probabilities == shares[0] == shares[1]
