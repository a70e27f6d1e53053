"""A report as plain text: what a terminal, a diff and a mail can show."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from slicewise.evaluation.sections.advice import advice
from slicewise.evaluation.sections.headlines import headlines
from slicewise.inference.results import DISCLAIMER
from slicewise.reports.blocks import Section

WIDTH = 100
_SHA256_DIGITS = 64


def render_text(
    report: Mapping[str, Any], parts: Sequence[Section], standing: str | None, folder: Path
) -> str:
    """The whole report: summary, parts, advice, and how it was made.

    Args:
        report: As in `metrics.json`.
        parts: In the order in which they stand.
        standing: Whether a gate was passed, in its words; None where none was asked.
        folder: Of the report; pictures are named from there.
    """
    lines = [
        "SliceWise evaluation report",
        "=" * WIDTH,
        *_wrapped(DISCLAIMER),
        "",
        *_summary(report, standing),
    ]
    for part in parts:
        lines += ["", *_part(part, folder)]
    lines += [
        "",
        *_heading("Advice"),
        *_bullets(advice(report) or ["No rule had anything to say."]),
    ]
    lines += ["", *_heading("How this was made"), *_made(report)]
    return "\n".join(lines) + "\n"


def _summary(report: Mapping[str, Any], standing: str | None) -> Iterator[str]:
    yield from _heading("Summary")
    yield f"{report['n']} slices in {report['groups']} groups, split {report['split']}."
    yield f"Refused: {refused_text(report)}."
    if standing is not None:
        yield f"{standing.capitalize()}."
    yield from _bullets([f"CAUTION: {sentence}" for sentence in report["cautions"]])
    yield ""
    level = f"{100 * report['interval']['level']:g} % interval by groups"
    rows = [(h.title, h.text(report), h.meaning) for h in headlines(report)]
    yield from _table(("figure", f"value ({level})", "meaning"), rows)


def refused_text(report: Mapping[str, Any]) -> str:
    """How many slices were left out, and why, in words."""
    seen, failed, untyped = (report["refused"][kind] for kind in ("seen", "failed", "untyped"))
    said = f"{seen['count']} seen in training ({seen['check']}), {failed['count']} unreadable"
    if untyped["count"]:
        said += f", {untyped['count']} {untyped['reason']}"
    if report["allow_seen"]:
        said += f"; {report['seen_evaluated']['count']} seen ones evaluated all the same"
    return said


def model_text(bundle: Mapping[str, str]) -> str:
    """Name, version and identity of a model; one that is still being made has no identity yet."""
    known = len(bundle["sha256"]) == _SHA256_DIGITS
    identity = bundle["sha256"] if known else "not yet finished; metrics.json names its identity"
    return f"{bundle['name']} {bundle['version']} ({identity})"


def _part(part: Section, folder: Path) -> Iterator[str]:
    yield from _heading(part.title)
    for paragraph in part.text.split("\n\n"):
        yield from _wrapped(paragraph)
    if part.rows:
        yield ""
        yield from _table(part.columns, part.rows)
    if part.pictures:
        names = [str(picture.relative_to(folder)) for picture in part.pictures]
        yield ""
        yield from _wrapped(f"Pictures: {', '.join(names)}")


def _made(report: Mapping[str, Any]) -> Iterator[str]:
    bundle, interval = report["bundle"], report["interval"]
    if bundle is not None:
        yield f"Model: {model_text(bundle)}"
    yield f"Command: {report['command']}"
    yield from _wrapped(
        f"Intervals: {interval['method']}, {interval['resamples']} resamples, level "
        f"{interval['level']:g}, seed {interval['seed']}."
    )


def _heading(title: str) -> Iterator[str]:
    yield title
    yield "-" * len(title)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _bullets(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from textwrap.wrap(
            sentence, WIDTH, initial_indent="* ", subsequent_indent="  ", break_on_hyphens=False
        )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of equal width, two blanks between them; the last one is not padded."""
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    for cells in (columns, ["-" * width for width in widths], *rows):
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()
