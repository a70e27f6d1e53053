"""The audit of a data set: what is in it twice, what leaks, what gives the answer away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from slicewise.data.build.build import clustered, nothing_readable
from slicewise.data.build.config import BuildConfig, config_of
from slicewise.data.build.plan import plan
from slicewise.data.build.recognition import copies_of, recognised
from slicewise.data.duplicates.agreement import SAME_AGREEMENT
from slicewise.data.duplicates.search import CORRELATION, Pair
from slicewise.data.manifest import Manifest
from slicewise.data.quality.dataset import Dataset, files_of, read_dataset
from slicewise.data.quality.issues import find_issues
from slicewise.data.quality.leakage import (
    RANDOM_SEED,
    find_copies,
    leak_free,
    memorisation,
    sides_of,
)
from slicewise.data.quality.page import render_page
from slicewise.data.quality.public import find_public
from slicewise.data.quality.results import AuditResults, class_counts, suggested_manifest
from slicewise.data.quality.shortcuts import FEATURES, FOLDS, SEED, probe, require_sklearn
from slicewise.data.quality.verdict import QualityFinding, verdict
from slicewise.data.tasks import parse_task
from slicewise.files import write_json, write_whole
from slicewise.progress import Progress

JSON_NAME, PAGE_NAME, SUGGESTED_NAME = "audit.json", "audit.html", "clean.csv"


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """A finished audit: results, the same in words, which slices are copies, what was audited."""

    results: AuditResults
    verdict: list[QualityFinding]
    pairs: list[Pair]
    audited: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The content of `audit.json`."""
        report = self.results.suggested and self.results.suggested.report
        return {
            "audited": list(self.audited),
            **self.results.as_json(),
            "verdict": [asdict(finding) for finding in self.verdict],
            "clean_manifest": report
            and {
                "path": SUGGESTED_NAME,
                "slices": len(report.rows),
                "left_out": len(report.excluded),
                "split": report.boundary,
            },
            "parameters": {
                "candidate_correlation": CORRELATION,
                "copy_agreement": SAME_AGREEMENT,
                "random_split_seed": RANDOM_SEED,
                "probe_folds": FOLDS,
                "probe_seed": SEED,
                "probe_features": list(FEATURES),
            },
        }

    def write(self, folder: Path, progress: Progress | None = None) -> None:
        """Write `audit.json`, `audit.html`, `clean.csv`, `clean.excluded.csv` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.results.suggested:
            self.results.suggested.write(folder / SUGGESTED_NAME)
        write_json(folder / JSON_NAME, self.as_json())
        page = render_page(self.results, self.verdict, self.pairs, self.audited, progress)
        write_whole(folder / PAGE_NAME, page)


def audit_folders(
    config: BuildConfig,
    workers: int = 1,
    progress: Progress | None = None,
    note: Callable[[str], object] | None = None,
) -> Audit:
    """Audit folders of slices; more than one process (worker) needs a guarded main module.

    Args:
        note: As `plan` takes it.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
        ManifestError: If a folder or table is not as expected, or nothing can be read.
        ConfigError: If the task is not as expected.
    """
    require_sklearn()
    files, left_out = plan(config, parse_task(config.task), note)
    dataset = read_dataset(files, left_out, workers, progress)
    roots = tuple(str(source.root) for source in config.sources)
    return _audited(dataset, roots, config, None, progress)


def audit_manifest(path: Path, workers: int = 1, progress: Progress | None = None) -> Audit:
    """Audit the slices of a manifest in its splits; arguments and errors as `audit_folders`."""
    require_sklearn()
    manifest = Manifest.read(path)
    dataset = read_dataset(files_of(manifest), (), workers, progress)
    return _audited(dataset, (str(path),), config_of([manifest.folder]), manifest, progress)


def _audited(
    read: Dataset,
    audited: Sequence[str],
    config: BuildConfig,
    manifest: Manifest | None,
    progress: Progress | None,
) -> Audit:
    if not read.items:
        raise nothing_readable(", ".join(audited), read.excluded)
    known = recognised(read.items) if config.known else read.items
    pairs = copies_of(known, read.prints, progress)
    items = clustered(known, pairs)
    dataset = replace(read, items=items)
    sides = sides_of(items, manifest is not None)
    groups = leak_free(items)
    labels = [item.label for item in items]
    sources = [item.source for item in items]
    issues = find_issues(dataset.issues, dataset.looks, [item.cluster for item in items])
    results = AuditResults(
        dataset=dataset,
        sides=sides,
        groups=groups,
        counts=class_counts(items, sides, groups),
        copies=find_copies(items, dataset.prints, sides),
        memory=memorisation(dataset.thumbnails, labels, groups, sides),
        class_probe=probe(dataset.features, labels, groups, "class", progress),
        source_probe=probe(dataset.features, sources, groups, "source", progress),
        issues=issues,
        public=find_public(items, sides),
        suggested=suggested_manifest(dataset, pairs, issues, config, manifest),
    )
    return Audit(results, verdict(results), pairs, tuple(audited))
