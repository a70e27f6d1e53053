"""The audit of a data set: what is in it twice, what leaks, what gives the answer away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slicewise.data.build.build import Built, clustered, nothing_readable
from slicewise.data.build.config import BuildConfig, config_of
from slicewise.data.build.report import Excluded
from slicewise.data.duplicates.agreement import SAME_AGREEMENT
from slicewise.data.duplicates.search import CORRELATION, Pair, find_pairs
from slicewise.data.manifest import Manifest
from slicewise.data.quality.clean import clean_manifest
from slicewise.data.quality.copies import find_copies, leak_free, sides_of
from slicewise.data.quality.features import FEATURES
from slicewise.data.quality.findings import Findings, as_json
from slicewise.data.quality.memorisation import RANDOM_SEED, memorisation
from slicewise.data.quality.page import render_page
from slicewise.data.quality.reading import Work, read, work_of_folders, work_of_manifest
from slicewise.data.quality.sentence import Sentence
from slicewise.data.quality.shortcuts import FOLDS, SEED, probe, require_sklearn
from slicewise.data.quality.suspects import find_suspects
from slicewise.data.quality.tables import class_table
from slicewise.data.quality.verdict import verdict
from slicewise.data.tasks import parse_task
from slicewise.files import write_json, write_whole
from slicewise.progress import Progress

JSON_NAME, PAGE_NAME, CLEAN_NAME = "audit.json", "audit.html", "clean.csv"


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """A finished audit.

    Args:
        findings: What was found.
        sentences: The verdict in words.
        pairs: Which slices are copies, by index.
        audited: Names of what was audited.
    """

    findings: Findings
    sentences: list[Sentence]
    pairs: list[Pair]
    audited: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The content of `audit.json`."""
        return {
            "audited": list(self.audited),
            **as_json(self.findings),
            "verdict": [sentence.as_json() for sentence in self.sentences],
            "clean_manifest": _clean(self.findings.clean),
            "parameters": _parameters(),
        }

    def write(self, folder: Path, progress: Progress | None = None) -> None:
        """Write `audit.json`, `audit.html`, `clean.csv` and `clean.excluded.csv`.

        Args:
            folder: Is made where it does not exist.
            progress: Told of the pictures that are read again for the page.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.findings.clean:
            self.findings.clean.write(folder / CLEAN_NAME)
        write_json(folder / JSON_NAME, self.as_json())
        page = render_page(self.findings, self.sentences, self.pairs, self.audited, progress)
        write_whole(folder / PAGE_NAME, page)


def audit_folders(config: BuildConfig, workers: int = 1, progress: Progress | None = None) -> Audit:
    """Audit folders of slices.

    Args:
        config: Sources and rules, as for a build.
        workers: Processes that read; more than one needs a guarded main module.
        progress: Told of each step.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
        ManifestError: If a folder or table is not as expected, or nothing can be read.
        ConfigError: If the task or a pattern is not as expected.
    """
    require_sklearn()
    work, left_out = work_of_folders(config, parse_task(config.task))
    audited = tuple(str(source.root) for source in config.sources)
    return _audited(work, left_out, config, None, audited, workers, progress)


def audit_manifest(path: Path, workers: int = 1, progress: Progress | None = None) -> Audit:
    """Audit the slices of a manifest in its splits.

    Args:
        path: CSV or Parquet.
        workers: Processes that read; more than one needs a guarded main module.
        progress: Told of each step.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
        LeakageError: If a group stands in two splits.
        ManifestError: If the table is not as expected, or nothing can be read.
    """
    require_sklearn()
    manifest = Manifest.read(path)
    config = config_of([manifest.folder])
    return _audited(
        work_of_manifest(manifest), [], config, manifest, (str(path),), workers, progress
    )


def _audited(
    work: Sequence[Work],
    left_out: Sequence[Excluded],
    config: BuildConfig,
    manifest: Manifest | None,
    audited: tuple[str, ...],
    workers: int,
    progress: Progress | None,
) -> Audit:
    material = read(work, left_out, workers, progress)
    if not material.items:
        raise nothing_readable(", ".join(audited), material.collected.excluded)
    pairs = find_pairs(material.collected.prints, progress)
    items = clustered(material.items, pairs)
    material = replace(material, collected=replace(material.collected, items=items))
    sides = sides_of(items, manifest is not None)
    groups = leak_free(items)
    labels = [item.found.label for item in items]
    sources = [item.found.source for item in items]
    suspects = find_suspects(material)
    findings = Findings(
        material=material,
        sides=sides,
        groups=groups,
        table=class_table(items, sides, groups),
        copies=find_copies(items, material.collected.prints, sides),
        memory=memorisation(material.thumbnails, labels, groups, sides),
        class_probe=probe(material.features, labels, groups, "class", progress),
        source_probe=probe(material.features, sources, groups, "source", progress),
        suspects=suspects,
        clean=clean_manifest(material, pairs, suspects, config, manifest),
    )
    return Audit(findings, verdict(findings), pairs, audited)


def _clean(built: Built | None) -> dict[str, str | int] | None:
    if built is None:
        return None
    report = built.report
    return {
        "path": CLEAN_NAME,
        "slices": len(report.rows),
        "left_out": len(report.excluded),
        "split": report.boundary,
    }


def _parameters() -> dict[str, Any]:
    return {
        "candidate_correlation": CORRELATION,
        "copy_agreement": SAME_AGREEMENT,
        "random_split_seed": RANDOM_SEED,
        "probe_folds": FOLDS,
        "probe_seed": SEED,
        "probe_features": list(FEATURES),
    }
