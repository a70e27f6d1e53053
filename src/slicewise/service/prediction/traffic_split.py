"""Which of two bundles answers an input: by the input alone, so that the same gets the same."""

from __future__ import annotations

import hashlib

from slicewise.audit_log.records import Arm

_SALT = b"slicewise rollout"  # never changes: it would send inputs to the other bundle


def arm_of(input_sha256: str, share: float, named: Arm | None = None) -> Arm:
    """Which of two bundles answers an upload; the same on every machine, for all its slices.

    A larger share of the challenger keeps every input that a smaller one gave away. Where the
    request names a bundle, it is that one.
    """
    if named is not None:
        return named
    return Arm.CHALLENGER if fraction_of(input_sha256) < share else Arm.MAIN


def fraction_of(input_sha256: str) -> float:
    """A number in [0, 1) that depends on the input alone, evenly spread over inputs.

    The hash is hashed again with a salt, so that the number has nothing to do with what else is
    decided by a hash of the input. It is no secret: the salt is public, and who tries many
    versions of a file can find one for the arm of their choice.
    """
    digest = hashlib.sha256(_SALT + input_sha256.encode("ascii")).digest()
    # Shifted to 53 bits: a 64-bit fraction close to 1 would round up to 1.0.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
