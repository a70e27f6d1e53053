"""Tasks: the classes that a model distinguishes, and the many names that folders give them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from slicewise.config import near
from slicewise.errors import ConfigError, ManifestError

NO_TUMOR = "no_tumor"
TUMOR = "tumor"
_TYPES = ("glioma", "meningioma", "pituitary")
_ALIASES = {
    NO_TUMOR: "no_tumor notumor no none normal healthy negative brain_healthy brain_normal",
    TUMOR: "tumor yes positive brain_tumor",
    "glioma": "glioma gliomas glioma_tumor brain_glioma",
    "meningioma": "meningioma meningiomas meningioma_tumor brain_menin brain_meningioma menin",
    "pituitary": "pituitary pituitary_tumor pituitary_adenoma brain_pituitary",
}
_CLASS_OF = {name: class_ for class_, names in _ALIASES.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class Task:
    """The classes that a model distinguishes.

    Args:
        name: Of a preset, or `custom`.
        classes: In the order of the model's outputs.
        negative_class: The class that means no tumor; None where the task has none.

    Raises:
        ConfigError: If the classes are too few or repeated, or do not hold the negative class.
    """

    name: str
    classes: tuple[str, ...]
    negative_class: str | None

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError(
                f"task {self.name}: expected at least two different classes; "
                f"got {', '.join(self.classes) or 'none'}"
            )
        if self.negative_class is not None and self.negative_class not in self.classes:
            raise ConfigError(
                f"task {self.name}: negative class {self.negative_class} is none of "
                f"{', '.join(self.classes)}"
            )

    def possible(self, label: str) -> tuple[str, ...]:
        """The classes that a manifest's label leaves open.

        A class leaves itself; `tumor`, in a task of several tumors, all but the negative class; any
        other name none.
        """
        if label in self.classes:
            return (label,)
        if label != TUMOR or self.negative_class is None:
            return ()
        return tuple(name for name in self.classes if name != self.negative_class)

    def leaves_open(self, label: str, name: str) -> bool:
        """Whether class `name` is one of several that a manifest's label leaves open."""
        left = self.possible(label)
        return len(left) > 1 and name in left

    def label_of(
        self, folder: str, aliases: Mapping[str, str] | None = None, *, untyped: bool = False
    ) -> str:
        """The class that a folder's name means.

        Args:
            folder: Any case; spaces, hyphens and underscores are alike.
            aliases: Further names, from folder name to class.
            untyped: Whether `tumor` may be a label where the task has several tumor types.

        Raises:
            ManifestError: If the name means no class of this task; names one that is near it, if
                any, and what to do.
        """
        name = normal_name(folder)
        own = {normal_name(given): class_ for given, class_ in (aliases or {}).items()}
        by_name = {normal_name(class_): class_ for class_ in self.classes}
        meant = own.get(name) or by_name.get(name) or _CLASS_OF.get(name, "")
        if meant in self.classes:
            return meant
        if TUMOR in self.classes and meant in _TYPES:
            return TUMOR
        if untyped and meant and len(self.possible(meant)) > 1:
            return meant
        raise ManifestError(self._unknown(folder, name, meant, list(own)))

    def _unknown(self, folder: str, name: str, meant: str, own: list[str]) -> str:
        expected = f"expected one of {', '.join(self.classes)}"
        advice = (
            "--alias FOLDER=CLASS says which class it holds, --skip FOLDER leaves it out, --task "
            "names other classes (in a YAML file: aliases, skip, task)"
        )
        if meant == TUMOR:
            advice = f"--task binary (task: binary) tells tumor from no tumor; or {advice}"
        if meant:
            return f"folder {folder!r} means {meant}; {expected}; {advice}"
        known = [*self.classes, *own, *(n for n, c in _CLASS_OF.items() if c in self.classes)]
        return f"folder {folder!r} means no known class; {expected}{near(name, known)}; {advice}"


FOUR_CLASS = Task("four_class", ("glioma", "meningioma", NO_TUMOR, "pituitary"), NO_TUMOR)
THREE_CLASS = Task("three_class", _TYPES, None)
BINARY = Task("binary", (NO_TUMOR, TUMOR), NO_TUMOR)
PRESETS = {task.name: task for task in (FOUR_CLASS, THREE_CLASS, BINARY)}


def parse_task(text: str) -> Task:
    """A preset by name, or a task of one's own from class names separated by commas.

    Names that the presets know under another name (`healthy`, `yes`) are folded; the negative
    class is `no_tumor` where it is listed. `ConfigError` where it is neither.
    """
    name = normal_name(text)
    if name in PRESETS:
        return PRESETS[name]
    if "," not in text:
        raise ConfigError(
            f"task {text!r}: expected {', '.join(PRESETS)} or class names separated by commas"
            f"{near(name, PRESETS)}"
        )
    names = [normal_name(part) for part in text.split(",") if part.strip()]
    classes = tuple(_CLASS_OF.get(part, part) for part in names)
    return Task("custom", classes, NO_TUMOR if NO_TUMOR in classes else None)


def contradict(one: str, other: str) -> bool:
    """Whether two labels cannot both be true of a slice; `tumor` agrees with every tumor type."""
    return one != other and (TUMOR not in {one, other} or NO_TUMOR in {one, other})


def contradicted(labels: Collection[str]) -> set[str]:
    """Those of the labels of one picture's copies that cannot be true beside another of them."""
    return {one for one in labels if any(contradict(one, other) for other in labels)}


def normal_name(name: str) -> str:
    """Lower case; runs of spaces, hyphens, dots and underscores are one underscore; US spelling."""
    lowered = re.sub(r"[\s\-_.]+", "_", name.strip().lower()).strip("_")
    return lowered.replace("tumour", "tumor")
