"""Every error SliceWise raises on purpose, under one parent.

A message names the input, what was expected and what was got. It never holds patient data.
"""

import re

_ERRNO = re.compile(r"\[Errno \d+\] ([\w /-]+)(?:: (['\"])(.*?)\2)?")
_WORDS = {
    "No such file or directory": "no such file",
    "Is a directory": "expected a file, got a folder",
    "Not a directory": "expected a folder, got a file",
}


def plain(text: str) -> str:
    """A message without numbers of the system: `[Errno 2] ...: 'x'` is `x: no such file`."""

    def words(found: re.Match[str]) -> str:
        said, _, path = found.groups()
        named = "" if path is None or path in text[: found.start()] else f"{path}: "
        return named + _WORDS.get(said, said[:1].lower() + said[1:])

    return _ERRNO.sub(words, text)


class SliceWiseError(Exception):
    """Parent of all errors that SliceWise raises on purpose."""

    def __str__(self) -> str:
        return plain(super().__str__())


class InputError(SliceWiseError):
    """An input (file, folder, archive, bytes) cannot be read as MRI slices."""


class LimitError(InputError):
    """An input is larger than the limits allow; nothing of it was decoded."""


class UnsupportedImageError(InputError):
    """An input is well formed, but of a kind that SliceWise does not read."""


class InternalError(InputError):
    """SliceWise itself failed on an input: a fault of ours, which loses no other input."""


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


class SeenError(EvaluationError):
    """All slices that were to be measured on are of the patients that trained the model."""


class TrainingError(SliceWiseError):
    """A training run cannot start, go on or be exported."""


class AuditError(SliceWiseError):
    """The audit log cannot be written, read or trusted."""


class ServiceError(SliceWiseError):
    """The service cannot start, though what was set could be as it is."""


class OverloadError(SliceWiseError):
    """More is asked than can be answered now; later it can."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AccessError(SliceWiseError):
    """Who asks is not known (`known` is false), or may not do what is asked."""

    def __init__(self, message: str, *, known: bool) -> None:
        super().__init__(message)
        self.known = known


class RateLimitError(SliceWiseError):
    """One caller sends more than is allowed; the others are answered."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class FeedbackError(SliceWiseError):
    """What was said about a prediction does not fit it, or there is no such prediction."""


class MissingExtraError(SliceWiseError):
    """An optional part of SliceWise is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an extra: pip install 'slicewise[{extra}]' "
            f"(or '.[{extra}]' in a checkout)"
        )
