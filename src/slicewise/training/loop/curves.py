"""Training curves as one picture, from the CSV log of a run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from slicewise.files import whole

PANELS = (
    ("loss", ("train_loss", "val_loss")),
    ("score", ("train_accuracy", "val_accuracy", "val_balanced_accuracy", "val_macro_auroc")),
    ("learning rate", ("lr",)),
)


def plot_curves(log: Path, picture: Path) -> None:
    """Draw loss, scores and learning rate over epochs.

    Args:
        log: `log.csv` of a run, one row an epoch.
    """
    from matplotlib.figure import Figure

    with log.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for name in names:
            _line(axes, rows, name)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        if len(names) > 1:
            axes.legend(frameon=False)
    with whole(picture) as draft:
        figure.savefig(draft, dpi=110)


def _line(axes: Any, rows: list[dict[str, str]], name: str) -> None:
    points = [(int(row["epoch"]) + 1, float(row[name])) for row in rows if row.get(name)]
    axes.plot([x for x, _ in points], [y for _, y in points], marker=".", label=name)
