"""What the labels of a manifest mean to a model: its own classes, or only tumor and no tumor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import TUMOR, Task, normal_name
from slicewise.errors import ConfigError, EvaluationError, ManifestError
from slicewise.inference.bundle import TaskInfo


@dataclass(frozen=True, slots=True)
class Labels:
    """How labels are read.

    Args:
        classes: Of the evaluation, in order.
        negative_class: The one without a tumor, if there is one.
        collapsed: Whether the tumor classes were joined, because the manifest does not tell them
            apart.
        untyped: Labels of a tumor of a kind not told, where other labels tell it; of no class.
    """

    meant: Mapping[str, str]
    classes: tuple[str, ...]
    negative_class: str | None
    collapsed: bool
    untyped: frozenset[str] = frozenset()

    def read(self, rows: Iterable[ManifestRow]) -> list[ManifestRow]:
        """The rows under the names of the evaluation; a label that means no class stays."""
        return [replace(row, label=self.meant.get(row.label, row.label)) for row in rows]

    def as_json(self) -> dict[str, Any]:
        """What `metrics.json` says of them: the classes, and which names were read as others."""
        other = {label: class_ for label, class_ in self.meant.items() if label != class_}
        return {"classes": list(self.classes), "collapsed": self.collapsed, "read_as": other}


def read_labels(
    labels: Sequence[str], task: TaskInfo, given: Mapping[str, str], beside: Sequence[str] = ()
) -> Labels:
    """Find out what the labels of a manifest mean to a model.

    A label is a class of the model, another name of one that `data build` knows too, or a name
    that `given` explains. Where the manifest says `tumor`, no label of it tells a kind, and the
    model tells several kinds apart, the model is measured on tumor against no tumor only. Where
    other labels tell the kind, `tumor` is `untyped`: its slices cannot be judged by kind.

    Args:
        given: Other names, from label to class or `tumor`.
        beside: Labels of slices that are compared with, not evaluated; they may mean no class.

    Raises:
        EvaluationError: If a label means no class of the model.
        ConfigError: If `given` says that a label means what is no class of the model.
    """
    known, negative = Task(task.name, task.classes, task.negative_class), task.negative_class
    binary = None  # tumor against no tumor, for a model that tells several tumors apart
    if negative is not None and TUMOR not in task.classes:
        binary = Task("binary", (negative, TUMOR), negative)
    classes = dict.fromkeys((*task.classes, *(binary.classes if binary else ())))
    for label, class_ in given.items():
        if class_ not in classes:
            raise ConfigError(
                f"--map {label}={class_}: expected a class of the model, one of "
                f"{', '.join(classes)}"
            )
    meant, unknown = _meant(labels, known, given)
    if not unknown:
        meant |= _meant(beside, known, given)[0]
        return Labels(meant, task.classes, negative, collapsed=False)
    if binary is not None:
        joined = {name: c if c == negative else TUMOR for name, c in given.items()}
        typed, (meant, unknown) = meant, _meant(labels, binary, joined)
        if not unknown and any(name != negative for name in typed.values()):
            typed |= _meant(beside, known, given)[0]
            untyped = frozenset(label for label in meant if label not in typed)
            return Labels(typed, task.classes, negative, collapsed=False, untyped=untyped)
        if not unknown:
            meant |= _meant(beside, binary, joined)[0]
            return Labels(meant, binary.classes, negative, collapsed=True)
    raise EvaluationError(
        f"labels: the model knows {', '.join(task.classes)}; got {unknown}; --map LABEL=CLASS "
        "says what another name means"
    )


def require_labels(names: Iterable[str], manifest: Manifest) -> None:
    """`ConfigError` where no row has a label that is explained; names the labels there are."""
    there = sorted({row.label for row in manifest.rows})
    known = {normal_name(label) for label in there}
    for name in names:
        if normal_name(name) not in known:
            raise ConfigError(
                f"--map {name}: expected a label of the manifest, one of {', '.join(there)}"
            )


def _meant(
    labels: Sequence[str], task: Task, given: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    meant, unknown = {}, []
    for label in sorted(set(labels)):
        try:
            meant[label] = task.label_of(label, given)
        except ManifestError:
            unknown.append(label)
    return meant, unknown
