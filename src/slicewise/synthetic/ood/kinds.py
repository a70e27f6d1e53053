"""Out-of-distribution inputs: pictures that are no MR slice of a head, by kind.

They have the sizes, the 8-bit values and, in half of the cases, the JPEG traces of ordinary files.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from io import BytesIO

import numpy as np
from PIL import Image

from slicewise.errors import ConfigError
from slicewise.imaging.formats.pixels import luminance
from slicewise.imaging.slice import Slice
from slicewise.synthetic.ood import altered, drawn
from slicewise.synthetic.ood.picture import Half, Kind

_JPEG_SHARE, _JPEG_QUALITY = 0.5, (55, 96)

KINDS = {k.name: k for room in (drawn, altered) for k in vars(room).values() if isinstance(k, Kind)}
"""By name, in the order of their modules."""


def kinds_of(half: Half | None = None) -> list[Kind]:
    """The kinds of one half; those that limits may be fitted on, A and B, where None."""
    wanted = ("A", "B") if half is None else (half,)
    return [kind for kind in KINDS.values() if kind.half in wanted]


def ood_slices(kind: str, count: int, seed: int, donors: Sequence[Slice] = ()) -> Iterator[Slice]:
    """Inputs of one kind, as if read from files.

    Picture k, named `ood:KIND#k`, depends on kind, seed, k and the donors only. Pixels are 0 to 255
    and not marked as synthetic: they stand for whatever somebody might hand in. Donors are real
    slices that some of the `KINDS` are made from.

    Raises:
        ConfigError: The kind is unknown, or it needs donors and there is none.
    """
    if kind not in KINDS:
        nearest = get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(KINDS)}"
        raise ConfigError(f"out-of-distribution kind {kind!r} is unknown; {hint}")
    wanted = KINDS[kind]
    if wanted.needs_donors and not donors:
        raise ConfigError(f"out-of-distribution kind {kind}: expected slices to alter; got none")
    return (_slice(wanted, index, seed, donors) for index in range(count))


def _slice(kind: Kind, index: int, seed: int, donors: Sequence[Slice]) -> Slice:
    rng = np.random.default_rng((seed, zlib.crc32(kind.name.encode()), index))
    values = kind.make(rng, donors) if kind.needs_donors else kind.make(rng)
    pixels = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
    if rng.random() < _JPEG_SHARE:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(*_JPEG_QUALITY)))
        pixels = np.asarray(Image.open(buffer))
    name, levels = f"ood:{kind.name}#{index}", pixels.astype(np.float32)
    if pixels.ndim == 2:
        return Slice(levels, name)
    return Slice(luminance(pixels), name, colour=float(np.ptp(levels, axis=2).mean() / 255))
