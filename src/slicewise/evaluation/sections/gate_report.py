"""A judged gate as `gate.json` and as a part of the report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from slicewise.evaluation.gate import Check, Gate, Judgement
from slicewise.files import write_json
from slicewise.reports.blocks import Section
from slicewise.text import number_text

TITLE = "Research gate"
MEANING = (
    "Each limit is held against the unfavourable end of the interval, not against the figure "
    "itself. The limits were chosen by whoever wrote the gate file. A passed gate is a result of "
    "research on these slices; it says nothing about use on patients."
)


def write_gate(judgement: Judgement, gate: Gate, out_dir: Path) -> Section:
    """Write `gate.json` and tell of it.

    Args:
        judgement: Of a report.
        gate: The limits it was held to.
        out_dir: Folder of the report; it must exist.
    """
    content = {
        "passed": judgement.passed,
        "words": judgement.words,
        "meaning": MEANING,
        "gate": gate.model_dump(exclude_none=True),
        "checks": [asdict(check) for check in judgement.checks],
    }
    write_json(out_dir / "gate.json", content)
    return _section(judgement)


def _section(judgement: Judgement) -> Section:
    kept = sum(check.passed for check in judgement.checks)
    return Section(
        TITLE,
        f"{judgement.words.capitalize()}: {kept} of {len(judgement.checks)} limits kept. {MEANING}",
        ("figure", "limit", "measured", "kept", "in words"),
        tuple(_row(check) for check in judgement.checks),
    )


def _row(check: Check) -> tuple[str, ...]:
    counted = check.figure.startswith("minimum.")
    measured = "-" if check.measured is None else number_text(check.measured)
    if counted and check.measured is not None:
        measured = f"{check.measured:.0f}"
    kept = "yes" if check.passed else "no"
    return check.figure, f"{check.limit:g}", measured, kept, check.said
