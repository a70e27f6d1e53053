"""Names for the arrays that the rooms hand to each other; shapes stand in the docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
"""Pixels, embeddings and what else is computed in single precision."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]
Names = NDArray[Any]
"""Names or numbers of groups and classes."""
