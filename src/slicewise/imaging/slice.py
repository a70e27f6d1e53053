"""What a slice is: pixels in modality values and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from slicewise.arrays import Array
from slicewise.errors import InputError, InternalError

Position = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Window:
    """A linear value-of-interest window (PS3.3 C.11.2.1.2), in modality values."""

    center: float
    width: float


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One MRI slice.

    Args:
        pixels: (H, W) float32 modality values, finite, larger is brighter (photometric
            interpretation applied), padding pixels set to the smallest real value.
        source: What to call it in an answer: the path as given, then `!member` for an archive
            member, then `#index` for one slice of a multi-slice file.
        modality: DICOM Modality (0008,0060), None where the format has none.
        patient_id: Patient ID (0010,0020). Used for grouping only, never printed.
        position_mm: Image Position (Patient): centre of the first pixel, LPS, mm.
        orientation: Image Orientation (Patient): row then column direction cosines.
        pixel_spacing_mm: Between rows, between columns; mm.
        pixel_aspect: Height of a pixel over its width, where it is recorded without a spacing.
        slice_thickness_mm: Slice Thickness (0018,0050), mm.
        colour: Mean difference between the brightest and the darkest colour channel, in [0, 1];
            0 for a grey picture or DICOM image saved in colour, None where the file holds grey
            values only.
        annotations: Free notes a file carries about itself (PNG text, DICOM image comments written
            by SliceWise), such as how a phantom was drawn. Never patient data.
    """

    pixels: Array = field(repr=False)
    source: str
    modality: str | None = None
    patient_id: str | None = field(default=None, repr=False)
    study_uid: str | None = field(default=None, repr=False)
    series_uid: str | None = field(default=None, repr=False)
    instance_uid: str | None = field(default=None, repr=False)
    position_mm: Position | None = None
    orientation: Orientation | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    pixel_aspect: float | None = None
    slice_thickness_mm: float | None = None
    window: Window | None = None
    colour: float | None = None
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Slices that belong together, in order along the slice normal.

    A single picture is a series of one. `is_volume` tells a series that deserves a study-level
    answer (a DICOM series or a NIfTI volume) from pictures that merely share a folder.
    """

    slices: Sequence[Slice]
    source: str
    is_volume: bool = False
    plane: str | None = None
    """`axial`, `coronal`, `sagittal`, `oblique`, or None where the orientation is unknown."""
    notes: tuple[str, ...] = ()
    """What is unusual of its slices, in sentences: what they were split by, order, distances."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be read, beside others that could."""

    source: str
    error: str


@dataclass(frozen=True, slots=True)
class InternalFailure(Failure):
    """An input on which SliceWise itself failed."""


def failure_of(source: str, error: InputError) -> Failure:
    """The failure of an input, from an error that may have its name in front."""
    kind = InternalFailure if isinstance(error, InternalError) else Failure
    return kind(source, str(error).removeprefix(f"{source}: "))


def is_synthetic(slice_: Slice) -> bool:
    """Whether a slice says of itself that it was drawn: for demos and tests, never for figures."""
    return slice_.annotations.get("synthetic") == "true"
