"""How classes are shown: a name to read, a colour, and one line on what the class is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassLook:
    """How one class is shown.

    Args:
        colour: CSS colour of its bar; never the only sign of the class.
        gloss: One line on what the class is; empty where none is known.
    """

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
    looks = {}
    spare = 0
    for name in classes:
        if name in _KNOWN:
            looks[name] = _KNOWN[name]
        else:
            colour = _SPARE_COLOURS[spare % len(_SPARE_COLOURS)]
            looks[name] = ClassLook(name.replace("_", " ").capitalize(), colour, "")
            spare += 1
    return looks
