"""Which of two bundles answers an input: decided by the input alone, the same on every machine."""

from __future__ import annotations

import hashlib

from slicewise.audit_log.records import Arm
from slicewise.service.settings import Settings

_SALT = b"slicewise rollout"
_STEPS = 2**64


class Rollout:
    """Assigns inputs to the main bundle or its challenger."""

    def __init__(self, settings: Settings) -> None:
        """Read which challenger there is, and its share."""
        self._share = settings.challenger_share if settings.challenger is not None else 0.0
        self.has_challenger = settings.challenger is not None
        self.has_shadow = self.has_challenger and self._share == 0
        """Whether the challenger runs beside the main bundle and never answers."""

    def arm_of(self, input_sha256: str) -> Arm:
        """Who answers an input; a larger share keeps every input that a smaller one gave away.

        Args:
            input_sha256: Of the uploaded bytes, hexadecimal; all slices of an upload go together.
        """
        return Arm.CHALLENGER if place_of(input_sha256) < self._share else Arm.MAIN


def place_of(input_sha256: str) -> float:
    """A number in [0, 1) that depends on the input alone, evenly spread over inputs.

    The hash is hashed again with a salt, so that the place has nothing to do with what else is
    decided by a hash of the input. It is no secret: the salt is public, and who tries many
    versions of a file can find one for the arm of their choice.
    """
    digest = hashlib.sha256(_SALT + input_sha256.encode("ascii")).digest()
    # Shifted to 53 bits: a 64-bit fraction close to 1 would round up to 1.0.
    return (int.from_bytes(digest[:8], "big") >> 11) / (_STEPS >> 11)
