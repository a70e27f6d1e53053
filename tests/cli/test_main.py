"""Wrong use, help and errors of the whole command line."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from slicewise.cli.main import app, main


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_version():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"slicewise {version('slicewise')}\n")


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["predict"],
        ["train"],
        ["evaluate"],
        ["data"],
        ["data", "phantom"],
        ["serve"],
        ["keys"],
        ["audit"],
        ["monitor"],
    ],
)
def test_every_command_has_help(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_help_says_what_it_is_not():
    assert "not a medical device" in " ".join(run("--help").stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict"],
        ["predict", "a.png", "--no-such-option"],
        ["predict", "a.png", "--threshold", "1.5"],
        ["predict", "a.png", "--threshold", "high"],
        ["predict", "a.png", "--threads", "0"],
        ["predict", "a.png", "--json", "--jsonl"],
        ["data", "phantom", "out", "--size", "8"],
        ["evaluate", "m.csv"],
        ["train"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_2_and_writes_nothing_on_stdout(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr
    assert "Traceback" not in result.stderr


def called(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the installed command."""
    monkeypatch.setattr(sys, "argv", ["slicewise", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "a.png", "--bundle", "gone"], "gone: no such bundle"),
        (["train", "gone.yaml"], "gone.yaml: cannot be read"),
        (["evaluate", "gone.csv", "--out", "o", "--bundle", "gone"], "gone"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_fails_is_exit_1_and_one_line(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = called(monkeypatch, capsys, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("slicewise: ")
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_told(monkeypatch, capsys):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("slicewise.inference.classifier.Classifier.load", interrupted)
    monkeypatch.setattr(sys, "argv", ["slicewise", "predict", "x.png"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "slicewise: interrupted\n"


def test_a_missing_extra_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, _, err = called(monkeypatch, capsys, "train", "c.yaml")
    assert code == 1
    assert err.startswith("slicewise: training needs an extra: pip install 'slicewise[train]' (or ")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from slicewise.cli.main import app; "
        "assert CliRunner().invoke(app, ['predict', '--help']).exit_code == 0; "
        "print(sorted({'torch', 'onnxruntime', 'numpy', 'PIL', 'pydicom'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
