"""The rules of the layout: which folder may import which, and what a fresh process may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import slicewise

ROOT = Path(slicewise.__file__).parent
LOWER = {
    "stats",
    "imaging",
    "inference",
    "explain",
    "predictions",
    "reports",
    "data",
    "synthetic",
}
BELOW = {
    "imaging": set(),
    "stats": set(),
    "inference": {"imaging"},
    "explain": {"inference", "imaging"},
    "predictions": {"inference", "stats"},
    "reports": {"stats"},
    "output": {"reports", "predictions", "explain", "inference", "imaging"},
    "data": {"imaging", "stats", "reports"},
    "synthetic": {"imaging", "stats", "reports"},
    "fitting": {"predictions", "inference", "stats"},
    "evaluation": {"fitting"} | LOWER,
    "audit_log": {"inference", "stats"},
    "zoo": {"data"},
    "training": {"evaluation", "fitting", "zoo"} | LOWER,
    "service": {"audit_log", "evaluation", "fitting", "output"} | LOWER,
}
"""Which rooms a room may import, beside those that all may."""
FOR_ALL = {"errors", "arrays", "progress", "config", "text", "files", "delimited"}
TRAINING_ONLY = {
    *("torch", "torchvision", "timm", "lightning", "optuna", "onnx", "safetensors"),
    "huggingface_hub",
}
MODULES = sorted(ROOT.rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in MODULES]


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def layer_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_point_down_the_layers(path: Path) -> None:
    layer = layer_of(path)
    if layer in {"cli", "__init__", "__main__"}:
        return
    allowed = FOR_ALL if layer in FOR_ALL else BELOW[layer] | {layer, *FOR_ALL}
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "slicewise" and len(parts) > 1:
            assert parts[1] in allowed, f"{layer} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_only_training_knows_torch(path: Path) -> None:
    if layer_of(path) != "training":
        assert not {name.split(".")[0] for name in imports_of(path)} & TRAINING_ONLY


def test_every_folder_is_known() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - {"models", "cli"} <= set(BELOW)
    assert all((ROOT / name / "__init__.py").is_file() for name in folders - {"models"})


def test_package_faces_hold_no_logic() -> None:
    for path in ROOT.rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        if path.parent == ROOT:  # the front door: names that are imported when asked for
            functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
            assert functions == ["__getattr__", "__dir__"]
            continue
        assert {type(node) for node in body} <= {ast.Expr, ast.Assign}, f"{path} holds more"


def test_only_the_settings_read_the_environment() -> None:
    readers = {name for path, name in zip(MODULES, NAMES, strict=True) if reads_environment(path)}
    # prometheus_client shares the numbers of workers by a variable of its own, set for children.
    # ONNX Runtime reports to its maker unless a variable is set before it is imported.
    allowed = {"service/settings.py", "service/monitoring/metrics.py", "inference/runtime.py"}
    assert readers <= allowed


def test_one_module_imports_onnx_runtime() -> None:
    named = {
        name
        for path, name in zip(MODULES, NAMES, strict=True)
        if "import onnxruntime" in path.read_text(encoding="utf-8")
    }
    assert named == {"inference/runtime.py"}


def reads_environment(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}:
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            assert not {alias.name for alias in node.names} & {"environ", "environb", "getenv"}
    return False


def test_no_drawer_for_odds_and_ends() -> None:
    assert not [name for name in NAMES if Path(name).stem in {"utils", "helpers", "common"}]


def modules_after(statement: str) -> set[str]:
    """Top-level modules loaded in a fresh process after a statement."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_slicewise_loads_nothing_heavy() -> None:
    heavy = {"numpy", "PIL", "pydicom", "onnxruntime", "pydantic", "typer", "torch", "matplotlib"}
    loaded = modules_after("import slicewise")
    assert not loaded & heavy
    assert "typing" not in loaded - modules_after("pass")


def test_help_loads_no_library_beside_typer() -> None:
    code = "import sys; sys.argv = ['slicewise', '--help']; from slicewise.cli.main import main"
    end = "import atexit; atexit.register(lambda: print('\\n', *sys.modules))"
    words = [sys.executable, "-c", f"{code}; {end}; main()"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    names = done.stdout.splitlines()[-1].split()
    rooms = {name.split(".")[1] for name in names if name.startswith("slicewise.")}
    assert rooms == {"cli", "errors", "files", "text"}
    loaded = {name.split(".")[0] for name in names}
    assert "typer" in loaded
    assert not loaded & {
        *("numpy", "PIL", "pydicom", "onnxruntime", "pydantic", "torch", "rich", "jinja2"),
        *("sqlalchemy", "yaml", "fastapi"),
    }


def test_prediction_never_loads_torch_and_reads_dicom_late(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    asked = f"sys.argv = ['slicewise', 'predict', {str(tmp_path / 'a.png')!r}, '--json']"
    ended = "import atexit; atexit.register(lambda: print('\\n', *sys.modules))"
    code = f"import sys; {asked}; {ended}; from slicewise.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "matplotlib", "sklearn", "pydicom", "nibabel", "jinja2", "rich"}


def test_evaluation_imports_no_plots_by_itself() -> None:
    assert not modules_after("import slicewise.stats.metrics") & {"matplotlib", "sklearn"}
