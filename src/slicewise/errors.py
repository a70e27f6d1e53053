"""Every error SliceWise raises on purpose, under one parent.

A message names the input, what was expected and what was got. It never holds patient data.
"""


class SliceWiseError(Exception):
    """Parent of all errors that SliceWise raises on purpose."""


class InputError(SliceWiseError):
    """An input (file, folder, archive, bytes) cannot be read as MRI slices."""


class LimitError(InputError):
    """An input is larger than the limits allow; nothing of it was decoded."""


class UnsupportedImageError(InputError):
    """An input is well formed, but of a kind that SliceWise does not read."""


class ManifestError(SliceWiseError):
    """A manifest or data folder does not hold what it must."""


class LeakageError(ManifestError):
    """A split would put one group on both sides."""


class BundleError(SliceWiseError):
    """A bundle is incomplete, changed, or of an unknown schema."""


class ConfigError(SliceWiseError):
    """A configuration value is unknown or out of range."""


class EvaluationError(SliceWiseError):
    """A quantity cannot be computed from the predictions given."""


class TrainingError(SliceWiseError):
    """A training run cannot start, go on or be exported."""


class MissingExtraError(SliceWiseError):
    """An optional part of SliceWise is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an extra: pip install 'slicewise[{extra}]' "
            f"(or '.[{extra}]' in a checkout)"
        )
