"""How classes are shown: a name to read, a colour, and one line on what the class is."""

from __future__ import annotations

from itertools import cycle
from typing import NamedTuple


class ClassLook(NamedTuple):
    """The colour is a CSS one, and never the only sign of the class."""

    title: str
    colour: str
    gloss: str


_KNOWN = {
    "glioma": ClassLook(
        "Glioma",
        "#ef4444",
        "Grows from the supporting cells of the brain itself. High-grade ones often show a ragged "
        "bright rim round a dark centre, with swelling beside it.",
    ),
    "meningioma": ClassLook(
        "Meningioma",
        "#f59e0b",
        "Grows from the coverings of the brain, so it sits against the skull or the falx. Usually "
        "round, evenly bright after contrast, and slow to grow.",
    ),
    "no_tumor": ClassLook(
        "No tumor",
        "#10b981",
        "None of the tumor kinds this model knows was recognised on this slice. That does not show "
        "that the brain is healthy.",
    ),
    "pituitary": ClassLook(
        "Pituitary tumor",
        "#6366f1",
        "Mostly an adenoma: a rounded mass of the pituitary gland, in the bony saddle at the base "
        "of the skull in the midline.",
    ),
    "tumor": ClassLook("Tumor", "#ef4444", "A mass of any kind, told from slices without one."),
}
_SPARE_COLOURS = ("#0ea5e9", "#d946ef", "#84cc16", "#f97316", "#14b8a6", "#a855f7")


def class_looks(classes: tuple[str, ...]) -> dict[str, ClassLook]:
    """How each class of a model is shown; classes of the user's own get a spare colour."""
    spare = cycle(_SPARE_COLOURS)
    return {
        name: _KNOWN.get(name) or ClassLook(name.replace("_", " ").capitalize(), next(spare), "")
        for name in classes
    }
