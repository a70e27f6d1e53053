"""Wrong use, help and errors of the whole command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import slicewise
from builders_data import head, save
from slicewise.cli.main import app, main
from slicewise.errors import TrainingError, plain


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option):
    result = run(option)
    assert (result.exit_code, result.stdout) == (0, f"slicewise {slicewise.__version__}\n")


def test_the_version_is_that_of_the_package():
    written = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert slicewise.__version__ == written["project"]["version"]


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
        ["doctor"],
    ],
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(command, option):
    result = run(*command, option)
    assert result.exit_code == 0
    assert "Usage: " in result.stdout
    assert result.stdout.isascii()


def test_an_option_of_several_commands_reads_the_same_in_each():
    told: dict[str, set[str]] = {}
    for _, command in commands():
        for option in command.params:
            told.setdefault(option.name, set()).add(f"{option.help} {option.default}")
    assert [len(told[name]) for name in ("threads", "bundle", "database")] == [1, 1, 1]


def commands() -> Iterator[tuple[list[str], Any]]:
    """Every command with its words."""
    for name, one in typer.main.get_command(app).commands.items():
        for inner, command in getattr(one, "commands", {"": one}).items():
            yield [name, inner] if inner else [name], command


def test_help_is_sentences_and_every_option_tells_its_default():
    for words, command in commands():
        assert "..." not in command.get_short_help_str(66), words
        for parameter in command.params:
            text = parameter.help or ""
            assert text.endswith("."), (words, parameter.name, text)
            told = (
                parameter.required
                or parameter.default is not None
                or "default" in text.lower()
                or "repeated" in text
                or parameter.metavar in ("DIR", "FILE")
                or parameter.name in ("table", "key")
                or parameter.name.endswith("_column")
            )
            assert told, (words, parameter.name, text)


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
        ["predict", "a.png", "--threads", "257"],  # thousands would take all memory
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train gone.yaml", "gone.yaml: cannot be read"),
        ("train run.yaml", "unknown key optimiser"),
        ("predict a.png --csv a.png", "a.png: expected a file named .csv"),
        ("predict a.png --report .", "expected a file to write to, got a folder"),
        ("predict a.png --explain a.png", "a.png: expected a folder, got a file"),
        ("predict a.png --explain o --target cyst", "--target 'cyst': expected one of glioma"),
        ("evaluate m.csv --out a.png", "a.png: expected a folder, got a file"),
        ("evaluate m.csv --out o --map astro", "--map 'astro': expected LABEL=CLASS"),
        ("evaluate m.csv --out o --gate gone.yaml", "gone.yaml: expected a gate as YAML"),
        ("data build d --out m.txt", "m.txt: expected a file named .csv or .parquet"),
        ("data build d --out m.csv --task four", "task 'four'"),
        ("data build d --out m.csv --alias a", "alias 'a': expected folder=class"),
        ("data build d --out m.csv --pattern (", "pattern"),
        ("data build d --out m.csv --on-conflict keep", "on_conflict"),
        ("data build d --out m.csv --copies some", "copies"),
        ("data build d --out m.csv --key k", "key: expected a table"),
        ("data build d --out m.csv --base d", "--base goes with a YAML file"),
        ("data phantom a.png", "a.png: expected a folder, got a file"),
        ("data audit d m.csv --out o", "m.csv: expected one manifest by itself"),
        ("data audit d --out a.png", "a.png: expected a folder, got a file"),
        ("audit export t.txt", "t.txt: expected a file named .csv or .parquet"),
        ("audit head --database mysql://x", "--database: expected sqlite:///FILE"),
        ("audit prune --before 2130-01-01", "expected a time in the past"),
        ("monitor --out o --arm shadow", "arm shadow: expected its bundle"),
        ("predict a.png --explain=", "an argument is empty: expected a value"),
        ("serve --challenger-share 0.5 --host 0.0.0.0", "expected"),
    ],
)
def test_what_is_asked_for_wrongly_is_exit_2_and_one_line(
    monkeypatch, capsys, tmp_path, words, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLICEWISE_CHALLENGER", raising=False)
    save(head(1, side=64), tmp_path / "a.png")
    save(head(1, side=64), tmp_path / "d" / "glioma" / "a.png")
    (tmp_path / "run.yaml").write_text("optimiser: {}")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = called(monkeypatch, capsys, *words.split())
    assert (code, out) == (2, "")
    assert err.startswith("slicewise: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("predict x --threshold 2", "'--threshold': expected at most 1; got '2'"),
        ("predict x --explain o --alpha 7", "'--alpha': expected at most 1; got '7'"),
        ("predict x --threads x", "'--threads': expected a whole number; got 'x'"),
        ("predict x --colormap red", "expected one of 'ember', 'lagoon', 'grey'; got 'red'"),
        ("keys create n --role boss", "expected one of 'predict', 'review', 'admin'; got 'boss'"),
    ],
)
def test_a_wrong_value_of_an_option_is_named_beside_what_was_expected(words, told):
    result = run(*words.split())
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_number_of_the_system_is_no_message():
    error = TrainingError("x.csv: cannot be read; [Errno 2] No such file or directory: 'x.csv'")
    assert str(error) == "x.csv: cannot be read; no such file"
    assert plain(str(OSError(2, "No such file or directory", "y.csv"))) == "y.csv: no such file"
    assert plain(str(OSError(13, "Permission denied", "y"))) == "y: permission denied"


def test_a_split_that_there_is_not_is_wrong_use():
    assert run("evaluate", "m.csv", "--out", "o", "--split", "valid").exit_code == 2


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


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `slicewise` is this one, as a module."""
    line = f'set -o pipefail; slicewise() {{ "{sys.executable}" -m slicewise "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_module_is_the_command(tmp_path):
    assert shell("slicewise -V", tmp_path).stdout == f"slicewise {slicewise.__version__}\n"


@pytest.mark.parametrize("command", ["slicewise data --help", "slicewise doctor --json"])
def test_a_reader_that_leaves_early_is_nothing_to_talk_about(tmp_path, command):
    result = shell(f"{command} | true", tmp_path)
    assert (result.stdout, result.stderr) == ("", "")
    assert result.returncode in (0, 1)


@pytest.mark.parametrize("command", ["doctor", "-h", "doctor --json", "predict a.png --json"])
def test_a_full_disk_is_one_line_that_names_what_was_written(tmp_path, command):
    save(head(1, side=64), tmp_path / "a.png")
    for unbuffered in ("", "1"):
        prepared = f"export PYTHONUNBUFFERED={unbuffered}"
        result = shell(f"{prepared}; slicewise {command} > /dev/full", tmp_path)
        told = "slicewise: standard output: no space left on device\n"
        assert (result.returncode, result.stderr) == (1, told)


@pytest.mark.parametrize("command", ["doctor", "predict a.png"])
def test_ctrl_c_at_any_time_is_told(tmp_path, command):
    save(head(1, side=64), tmp_path / "a.png")
    began = (
        "import signal, sys, threading, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background
        "wait, sys.argv = float(sys.argv[1]), ['slicewise', *sys.argv[2:]]\n"
        "def ctrl_c():\n"
        "    time.sleep(wait)\n"
        "    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)\n"
        "threading.Thread(target=ctrl_c, daemon=True).start()\n"
        "from slicewise.__main__ import main\n"
        "main()\n"
    )
    for wait in (0.01, 0.03, 0.06, 0.1, 0.15, 0.2):
        words = [sys.executable, "-c", began, str(wait), *command.split()]
        found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.stderr == "slicewise: interrupted\n", wait
        assert found.returncode in (130, -signal.SIGINT)  # 130 in a shell; Python takes either


def test_a_run_broken_off_is_interrupted(monkeypatch, capsys):
    def fit(*_: object) -> None:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                sys.exit(1)  # as Lightning does
        except SystemExit as error:
            raise TrainingError("interrupted; run the same command again") from error

    monkeypatch.setattr("slicewise.training.config.load_config", fit)
    code, _, err = called(monkeypatch, capsys, "train", "run.yaml")
    assert (code, err) == (130, "slicewise: interrupted; run the same command again\n")


def test_without_streams_nothing_fails(tmp_path):
    assert shell("slicewise -V >&- 2>&-", tmp_path).returncode == 0


def test_completion_is_offered(tmp_path):
    assert "--install-completion" in run("--help").stdout
    words = "_SLICEWISE_COMPLETE=complete_bash COMP_WORDS='slicewise pre' COMP_CWORD=1"
    code = "import sys; from slicewise.cli.main import main; sys.argv = ['slicewise']; main()"
    assert "predict" in shell(f'{words} "{sys.executable}" -c "{code}"', tmp_path).stdout


def test_an_error_shows_no_control_character(tmp_path):
    result = shell("slicewise data build --out m.csv $'a\\x1b[31m\\xe9.yaml'", tmp_path)
    assert result.returncode == 2
    assert "\x1b" not in result.stderr
    assert "a\\x1b[31m\\udce9.yaml" in result.stderr
