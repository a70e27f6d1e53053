"""Answers as pictures: slice and heat map side by side, one PNG a slice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from slicewise.errors import ConfigError
from slicewise.explain.overlay import OverlayStyle, draw_answer
from slicewise.files import whole
from slicewise.imaging.slice import Failure
from slicewise.inference.bundle import Bundle
from slicewise.output.sinks import Item, Sink, file_of


class PngSink(Sink):
    """Draws each slice to the file that its prediction names, as `with_pictures` puts it there."""

    def __init__(self, bundle: Bundle, style: OverlayStyle, target: str | None = None) -> None:
        """Draw the heat map of a class, which the model must have, or of the answered one."""
        if target is not None and target not in bundle.classes:
            raise ConfigError(f"--target {target!r}: expected one of {', '.join(bundle.classes)}")
        self._style, self._target = style, target

    def write(self, item: Item) -> None:
        if isinstance(item, Failure):
            return
        for slice_, answer in zip(item.series.slices, item.answers, strict=True):
            if answer.prediction.heatmap is not None:
                path = Path(answer.prediction.heatmap)
                path.parent.mkdir(parents=True, exist_ok=True)
                with whole(path) as draft:
                    draw_answer(slice_, answer, self._style, self._target).save(draft)


def with_pictures(items: Iterable[Item], folder: Path) -> Iterator[Item]:
    """The same answers, each with the name of its picture as `heatmap`: `0001_<source>.png` on."""
    numbers = count(1)
    for item in items:
        if isinstance(item, Failure):
            yield item
            continue
        answers = []
        for answer in item.answers:
            path = folder / f"{next(numbers):04d}_{_safe(answer.prediction.source)}.png"
            named = replace(answer.prediction, heatmap=str(path))
            answers.append(replace(answer, prediction=named))
        yield replace(item, answers=answers)


def _safe(source: str) -> str:
    """A file name from the last part of a source; nothing of its folders, nothing special."""
    last = re.split(r"[/\\]", source.removeprefix(f"{file_of(source)}!"))[-1]
    stem = re.sub(r"\.(png|jpe?g|tiff?|bmp|webp|dcm)\b", "", last, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[-80:]
