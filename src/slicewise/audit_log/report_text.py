"""The comparison of models as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slicewise.text import percent_text, share_text

_IDENTITY = 12


def comparison_text(report: Mapping[str, Any]) -> str:
    """The comparison of `compare_models` for a terminal."""
    if not report["arms"]:
        return "no predictions in this time"
    lines = [*_arms(report["arms"])]
    for gap in report["differences"]:
        lines += ["", *_difference(gap)]
    for shadow in report["shadows"]:
        lines += ["", *_shadow(shadow)]
    lines += ["", "Shares with 95 % intervals over inputs, not over answers."]
    return "\n".join(lines)


def _arms(arms: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    heads = [f"{arm['arm']}: {_model(arm)}" for arm in arms]
    rows = [
        ("answers", *(str(arm["predictions"]) for arm in arms)),
        ("inputs", *(str(arm["inputs"]) for arm in arms)),
        *((name, *(_share(arm["shares"][name]) for arm in arms)) for name in arms[0]["shares"]),
        ("answers with feedback", *(str(arm["with_feedback"]) for arm in arms)),
        *(
            (f"latency {q}, ms", *(f"{arm['latency_ms'][q]:.1f}" for arm in arms))
            for q in arms[0]["latency_ms"]
        ),
    ]
    yield from _table(("", *heads), rows)


def _difference(gap: Mapping[str, Any]) -> Iterator[str]:
    yield f"challenger {_model(gap['challenger'])} minus main {_model(gap['main'])}"
    rows = [(name, _gap(value)) for name, value in gap["shares"].items()]
    yield from _table(("share", "percentage points"), rows)


def _shadow(pairs: Mapping[str, Any]) -> Iterator[str]:
    yield f"shadow {_model(pairs['shadow'])} beside main {_model(pairs['main'])}"
    gap, right = pairs["probability_gap"], pairs["right"]
    same = [(f"same {name.replace('_', ' ')}", _share(v)) for name, v in pairs["same"].items()]
    rows = [
        ("answers to the same slices", f"{pairs['pairs']} of {pairs['inputs']} inputs"),
        *same,
        ("largest gap of a class probability", f"mean {gap['mean']:.3f}, most {gap['max']:.3f}"),
        *(
            (f"main {row['main']}, shadow {row['shadow']}", str(row["count"]))
            for row in pairs["exchanged"]
        ),
        ("right by feedback", ", ".join(f"{k.replace('_', ' ')} {n}" for k, n in right.items())),
    ]
    yield from _table(("", ""), rows)


def _model(named: Mapping[str, Any]) -> str:
    return f"{named['name']} {named['version']} ({named['sha256'][:_IDENTITY]})"


def _share(share: Mapping[str, float] | None) -> str:
    if share is None:
        return "-"
    if share["ci_low"] is None:
        return f"{percent_text(share['value'])} (no interval)"
    return share_text(share["value"], share["ci_low"], share["ci_high"])


def _gap(gap: Mapping[str, float] | None) -> str:
    if gap is None:
        return "-"
    value, low, high = (100 * gap[name] for name in ("value", "ci_low", "ci_high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of equal width; no line for headings that are all empty."""
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    for cells in (columns, *rows) if any(columns) else rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()
