"""What all drawings share: colours, size, a line of warning, and how they become a file.

Colours are those of Okabe and Ito (2008), told apart with every common colour vision; each line
also has its own dash pattern.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from slicewise.arrays import Floats
from slicewise.errors import MissingExtraError
from slicewise.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (6, 2)), (0, (1, 1)), "-")
HATCHES = ("", "//", "..", "xx", "\\\\")
_DPI = 150
_WARNING = "#B00000"


def require_plots() -> None:
    """Raise `MissingExtraError` where matplotlib is not installed, before the work begins."""
    try:
        import matplotlib.figure  # noqa: F401 (only asks whether it is there)
    except ModuleNotFoundError:
        raise MissingExtraError("plots", "evaluate") from None


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the line of that number."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 1.8,
    }


def grid(axes: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """Faint lines behind what is drawn."""
    axes.grid(axis=axis, color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def whiskers(estimates: Iterable[tuple[float | None, float | None, float | None]]) -> Floats:
    """(2, N) reach of intervals, of (value, low, high); NaN, not drawn, where one is None."""
    value, low, high = np.array(list(estimates), dtype=np.float64).T
    reach: Floats = np.maximum([value - low, high - value], 0)
    return reach


def new_figure(width: float, height: float, dpi: int = _DPI) -> Figure:
    """An empty figure of so many inches; no window system and no shared state is touched."""
    require_plots()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


@contextmanager
def drawing(
    path: Path, width: float, height: float, title: str = "", notice: str | None = None
) -> Iterator[Figure]:
    """A figure, written as PNG on leaving into a folder that exists; raises as `require_plots`."""
    figure = new_figure(width, height)
    yield figure
    if notice is not None:
        figure.suptitle(f"{notice}\n{title}".rstrip(), color=_WARNING, fontsize=10)
    elif title:
        figure.suptitle(title, fontsize=10)
    write_whole(path, png(figure))


def png(figure: Figure) -> bytes:
    """A figure as a file in memory."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
