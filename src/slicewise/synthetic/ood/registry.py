"""Every kind of strange input: its family, its half, and how it is drawn.

Gates fitted on half A are reported on half B, and the other way round. A family stands in one half
as a whole, so that the other half holds no kind of the same family. The halves are not
independent: drawn kinds of both share the code that renders tissue and ordinary files, and kinds
made from slices share their donors. Real scans are in neither: no gate is fitted on them, every
one may be reported on them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np
from numpy.random import Generator

from slicewise.errors import ConfigError
from slicewise.imaging.slice import Slice
from slicewise.synthetic.ood import (
    computed_head,
    limbs,
    noise,
    other_scanners,
    photographs,
    radiographs,
    real_scans,
    remade,
    screens,
    textures,
    trunk,
)
from slicewise.synthetic.ood.picture import Picture

Half = Literal["A", "B", "report only"]
Draw = Callable[[Generator], Picture]
Remake = Callable[[Generator, Sequence[Slice]], Picture]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of strange input.

    Args:
        name: As in `ood:NAME#12`.
        family: Kinds that resemble each other; always in one half.
        half: Which half of the kinds it is fitted or reported with, or that it is never fitted on.
        draw: Makes a picture from nothing; None for a kind made from slices.
        remake: Makes a picture from slices; None for a drawn kind.
    """

    name: str
    family: str
    half: Half
    draw: Draw | None = None
    remake: Remake | None = None

    @property
    def needs_donors(self) -> bool:
        """Whether it is made from slices that the caller gives."""
        return self.remake is not None

    @property
    def says(self) -> str:
        """What it is, in a line: the first line of the docstring of what makes it."""
        return str((self.draw or self.remake).__doc__).splitlines()[0]


_DRAWN: tuple[tuple[str, Half, tuple[Draw, ...]], ...] = (
    ("noise", "A", (
        noise.gaussian_noise, noise.speckle_noise, noise.salt_and_pepper, noise.coloured_noise,
    )),
    ("photograph", "A", (photographs.landscape, photographs.flower)),
    ("texture", "A", (textures.voronoi, textures.stripes, textures.marble, textures.tiles)),
    ("paper", "A", (screens.form, screens.barcode, photographs.handwritten_digits)),
    ("head CT", "A", (computed_head.head_ct, computed_head.head_ct_bone)),
    ("limb MR", "A", (limbs.knee, limbs.thigh, limbs.wrist, limbs.ankle)),
    ("other scanner", "A", (
        other_scanners.ultrasound, other_scanners.angiogram, other_scanners.scintigram,
        other_scanners.fundus, other_scanners.cells,
    )),
    ("flat", "B", (noise.flat_picture, noise.gradient_picture, noise.single_object)),
    ("portrait and map", "B", (photographs.portrait, photographs.terrain)),
    ("screen", "B", (screens.text_page, screens.dialog_window, screens.chart, screens.table)),
    ("trunk MR", "B", (
        trunk.abdomen_mr, trunk.pelvis_mr, trunk.heart_mr, trunk.breast_mr, trunk.spine_mr,
    )),
    ("body CT", "B", (trunk.abdomen_ct, trunk.chest_ct)),
    ("X-ray", "B", (
        radiographs.chest_xray, radiographs.hand_xray, radiographs.knee_xray,
        radiographs.skull_xray,
    )),
    ("real scan", "report only", (
        real_scans.real_head_ct, real_scans.real_spine_ct, real_scans.real_abdomen_mr,
        real_scans.real_ultrasound,
    )),
)  # fmt: skip
_REMADE: tuple[tuple[str, Half, tuple[Remake, ...]], ...] = (
    ("values changed", "A", (remade.inverted, remade.overexposed, remade.false_colour)),
    ("several at once", "A", (remade.contact_sheet, remade.double_exposure)),
    ("failed scan", "A", (
        remade.ghosted, remade.spiked, remade.folded_over, remade.torn_by_motion,
        remade.drowned_in_noise,
    )),
    ("turned", "B", (remade.upside_down, remade.quarter_turned, remade.squeezed)),
    ("a part only", "B", (remade.extreme_zoom, remade.strong_crop, remade.hidden)),
    ("rearranged", "B", (remade.halves_swapped, remade.jigsaw)),
    ("on a screen", "B", (remade.in_viewer, remade.screen_photograph)),
)  # fmt: skip

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(Kind(f.__name__, family, half, draw=f) for family, half, fs in _DRAWN for f in fs),
        *(Kind(f.__name__, family, half, remake=f) for family, half, fs in _REMADE for f in fs),
    )
}
"""By name, in the order of the families."""


def ood_slices(kind: str, count: int, seed: int, donors: Sequence[Slice] = ()) -> Iterator[Slice]:
    """Strange inputs of one kind, as if read from files.

    Picture k depends on kind, seed, k and the donors only, so that fewer or more of them begin
    alike. Their pixels are 0 to 255; they are not marked as synthetic, because their purpose is to
    look like whatever somebody might hand in.

    Args:
        kind: A name in `KINDS`.
        count: How many.
        seed: Of the random draws.
        donors: Real slices that some kinds are made from; the others do not look at them.

    Yields:
        Slices named `ood:KIND#k`, k from 0.

    Raises:
        ConfigError: The kind is unknown, or it needs donors and there is none.
    """
    wanted = _known(kind)
    if wanted.needs_donors and not donors:
        raise ConfigError(f"strange kind {kind}: expected slices to make it from; got none")
    return (_slice(wanted, index, seed, donors) for index in range(count))


def kinds_of(half: Half | None = None) -> list[Kind]:
    """The kinds of one half; those that gates may be fitted on, A and B, where None."""
    wanted = ("A", "B") if half is None else (half,)
    return [kind for kind in KINDS.values() if kind.half in wanted]


def _known(kind: str) -> Kind:
    if kind in KINDS:
        return KINDS[kind]
    nearest = get_close_matches(kind, KINDS, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else f"; known: {', '.join(KINDS)}"
    raise ConfigError(f"strange kind {kind!r} is unknown{hint}")


def _slice(kind: Kind, index: int, seed: int, donors: Sequence[Slice]) -> Slice:
    rng = np.random.default_rng((seed, zlib.crc32(kind.name.encode()), index))
    if kind.remake is not None:
        picture = kind.remake(rng, donors)
    elif kind.draw is not None:
        picture = kind.draw(rng)
    else:
        raise ConfigError(f"strange kind {kind.name}: expected a way to make it; got none")
    return Slice(picture.pixels, f"ood:{kind.name}#{index}", colour=picture.colour)
