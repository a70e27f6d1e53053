"""SliceWise: brain MRI slices to answers that can be checked. Research only."""

TYPE_CHECKING = False
"""Type checkers take it as true by its name; importing `typing` for it takes 10 ms."""

if TYPE_CHECKING:
    from slicewise.inference.bundle import load_bundle
    from slicewise.inference.classifier import Classifier
    from slicewise.inference.predict import predict, read_slices

__version__ = "0.2.0"
__all__ = ["Classifier", "load_bundle", "predict", "read_slices"]

_HOMES = {
    "Classifier": "slicewise.inference.classifier",
    "load_bundle": "slicewise.inference.bundle",
    "predict": "slicewise.inference.predict",
    "read_slices": "slicewise.inference.predict",
}


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for (PEP 562): importing the package loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return globals().setdefault(name, getattr(import_module(_HOMES[name]), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
