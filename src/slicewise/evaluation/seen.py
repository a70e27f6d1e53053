"""Which slices a model was trained on, by the fingerprints in its bundle.

Copies count: another size, format, brightness, mirrored or turned. A score on such slices says how
well the model remembers, not how well it would do on a new patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from slicewise.arrays import Bools
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.duplicates.search import match
from slicewise.inference.bundle import SEEN_NAME, Bundle


@dataclass(frozen=True, slots=True, eq=False)
class SeenCheck:
    """The outcome of looking for training slices.

    Args:
        seen: (N,) whether a slice has a duplicate among the training slices.
        described: What they were compared with, or why they were not, in words.
    """

    seen: Bools
    described: str
    checked: bool = True


def find_seen(bundle: Bundle, slices: Fingerprints) -> SeenCheck:
    """Look for duplicates of slices among those a bundle was trained on.

    Args:
        bundle: Holds `seen.npz`, or else nothing can be said.

    Raises:
        ManifestError: If the fingerprints in the bundle are of an unknown format.
    """
    if SEEN_NAME not in bundle.files:
        unknown = f"not checked: bundle {bundle.info.name} holds no {SEEN_NAME}"
        return SeenCheck(np.zeros(len(slices), dtype=np.bool_), unknown, checked=False)
    training = _training_fingerprints(bundle)
    seen = np.array([len(found) > 0 for found in match(slices, training)], dtype=np.bool_)
    return SeenCheck(seen, f"compared with the {len(training)} training slices of the bundle")


def _training_fingerprints(bundle: Bundle) -> Fingerprints:
    # A zipped bundle lives in memory only, and fingerprints are read from a file.
    with TemporaryDirectory() as folder:
        path = Path(folder) / SEEN_NAME
        path.write_bytes(bundle.files[SEEN_NAME])
        return Fingerprints.load(path)
