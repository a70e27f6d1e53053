"""SliceWise: brain MRI slices to answers that can be checked. Research only."""

__version__ = "0.2.0"
