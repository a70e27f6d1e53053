"""Build settings from options and from YAML, with errors that name the key."""

from pathlib import Path

import pytest

from slicewise.data.build.config import config_of, read_build_config
from slicewise.errors import ConfigError


def test_options_become_one_source_a_root():
    config = config_of(
        [Path("a"), Path("b")],
        skip=["yes"],
        table={"path": "t.csv", "key": "k", "fold_column": None},
        aliases=["mass=glioma"],
        test_fold=None,
    )
    assert [source.root for source in config.sources] == [Path("a"), Path("b")]
    assert config.sources[1].table.key == "k"
    assert config.aliases == {"mass": "glioma"}
    assert (config.seed, config.on_conflict, config.task) == (42, "refuse", "four_class")
    assert config_of([Path("a")], table={"path": None, "key": None}).sources[0].table is None


def test_bad_options_are_named():
    with pytest.raises(ConfigError, match="alias 'mass': expected folder=class"):
        config_of([Path("a")], aliases=["mass"])
    with pytest.raises(ConfigError, match="sources"):
        config_of([])
    with pytest.raises(ConfigError, match="on_conflict"):
        config_of([Path("a")], on_conflict="ignore")
    with pytest.raises(ConfigError, match=r"sources\.0\.pattern: expected groups named .*got none"):
        config_of([Path("a")], pattern="sub")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": {"path": None, "key": "k"}}, "key: expected a table"),
        ({"table": {"path": None, "fold_column": "f"}}, "fold_column: expected a table"),
        ({"test_fold": "1"}, "expected folds by fold_column"),
        ({"val_fold": "1", "pattern": "(?P<patient>x)"}, "expected folds by fold_column"),
        ({"test_fold": "1", "published_splits": True}, "expected folds by fold_column"),
        (
            {"table": {"path": "t", "key": "k", "fold_column": "f"}, "published_splits": True},
            "published_splits: expected no folds",
        ),
        (
            {"table": {"path": "t", "key": "k", "reason_column": "why"}},
            "reason_column: expected a keep_column beside it; got none",
        ),
        ({"on_conflict": "drop"}, "on_conflict: expected folds or published_splits beside it"),
        ({"seed": 1, "pattern": "(?P<fold>x)"}, "seed: expected no folds beside it"),
        ({"pattern": "(?P<fold>x)", "published_splits": True}, "published_splits: expected no"),
        *(
            (
                {"table": {"path": "t", "key": "k", "fold_column": name}},
                f"table.fold_column: expected a name that is no manifest column; got '{name}'",
            )
            for name in ("split", "group", "path", "published_split")
        ),
    ],
)
def test_options_that_would_be_ignored_or_overwritten_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        config_of([Path("a")], **options)


def test_paths_of_a_file_start_from_it_or_from_a_base(tmp_path):
    (tmp_path / "t.csv").write_text("key\n")
    path = tmp_path / "data.yaml"
    path.write_text("sources:\n- {root: x, table: {path: t.csv, key: key}}\n- {root: y}\n")
    config = read_build_config(path)
    assert config.sources[0].root == tmp_path / "x"
    assert config.sources[0].table.path == tmp_path / "t.csv"
    assert read_build_config(path, Path("/data")).sources[1].root == Path("/data/y")


def test_a_field_is_worded_as_it_is_given(tmp_path):
    (tmp_path / "a.yaml").write_text("sources: [{root: x}]\n")
    assert read_build_config(tmp_path / "a.yaml").wording_of("on_conflict") == "on_conflict: "
    assert config_of([Path("a")]).wording_of("on_conflict") == "--on-conflict "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: [{root: x}]\ncopy: one\n", "unknown key copy; nearest known key: copies"),
        ("sources: [{rot: x}]\n", "sources.0.root"),
        ("just words\n", "expected keys sources"),
        ("a: [\n", "expected a YAML file"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_build_config(tmp_path / "data.yaml")
