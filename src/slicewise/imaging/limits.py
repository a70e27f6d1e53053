"""How large an input may be, checked before anything of it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from slicewise.errors import InputError, LimitError

MIN_SIDE = 16
"""Fewest rows and columns that can show a head."""

_HARMLESS_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest input that is decoded; whatever is larger is refused with `LimitError`.

    `max_zip_ratio` is of an archive, or of a deflated DICOM file; what expands to at most 8 MiB is
    harmless and exempt.
    """

    max_bytes: int = 512 * 2**20  # of one file or archive member
    max_pixels: int = 64_000_000  # of one image: rows times columns
    max_frames: int = 4_096  # images in one file, or in one series
    max_volume_pixels: int = 256_000_000  # of one file with several images, or of one series
    max_zip_entries: int = 20_000
    max_zip_bytes: int = 4 * 2**30  # of all members of one archive, expanded
    max_zip_ratio: float = 200.0  # expanded bytes for each compressed one

    def check_bytes(self, size: int) -> None:
        """Refuse a file or member that is longer than `max_bytes`, or empty (InputError)."""
        if size == 0:
            raise InputError("expected an image, got an empty file")
        if size > self.max_bytes:
            raise LimitError(f"expected at most {self.max_bytes:,} bytes, unpacked; got {size:,}")

    def check_expansion(self, expanded: int, compressed: int) -> None:
        """Refuse compressed bytes that expand, so far, to more than `max_zip_ratio` allows."""
        if expanded > max(_HARMLESS_BYTES, self.max_zip_ratio * compressed):
            raise LimitError(
                f"expected data that expand at most {self.max_zip_ratio:g} times, "
                f"got {expanded:,} bytes from {compressed:,}"
            )

    def check_image(self, rows: int, columns: int, frames: int = 1) -> None:
        """Refuse an image, or a stack of equal ones, by its declared extent.

        Raises:
            LimitError: It has too many pixels or too many frames.
            InputError: It is too small to show a head.
        """
        if rows < MIN_SIDE or columns < MIN_SIDE:
            least = f"at least {MIN_SIDE} x {MIN_SIDE} pixels"
            raise InputError(f"expected {least}, got {rows} x {columns}")
        if rows * columns > self.max_pixels:
            raise LimitError(f"expected at most {self.max_pixels:,} pixels, got {rows} x {columns}")
        self.check_stack(rows * columns * frames, frames)

    def check_stack(self, pixels: int, frames: int) -> None:
        """Refuse a file or a series that holds too many frames, or pixels together."""
        if frames > self.max_frames:
            raise LimitError(f"expected at most {self.max_frames:,} images, got {frames:,}")
        if pixels > self.max_volume_pixels:
            most = f"at most {self.max_volume_pixels:,} pixels in {frames:,} images"
            raise LimitError(f"expected {most}, got {pixels:,}")


DEFAULT_LIMITS = Limits()
"""The limits that hold where none are given."""
