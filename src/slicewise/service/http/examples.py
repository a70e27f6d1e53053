"""Examples in the OpenAPI description: made from the fields of a model, so that they always fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from slicewise import __version__

ID = "5f0c8f2a6d4c4a0e9f4be1f0a7d3c291"
_PNG = "iVBORw0…"
_CLASSES = {"glioma": 0.971, "meningioma": 0.015, "no_tumor": 0.009, "pituitary": 0.005}
_ACCURACY = {"accuracy": {"value": 0.9, "ci_low": 0.86, "ci_high": 0.93}}
_BUNDLE = {"name": "four-class", "version": "0.1.0", "sha256": "0" * 64}

VALUES: dict[str, Any] = {
    **dict.fromkeys(("id", "prediction_id"), ID),
    **dict.fromkeys(
        ("label", "class", "predicted_class", "classification", "true_label"), "glioma"
    ),
    **dict.fromkeys(("probability", "confidence"), 0.971),
    **dict.fromkeys(("tumor_flag", "has_tumor"), True),
    **dict.fromkeys(("timing_ms", "latency_ms"), 41.2),
    **dict.fromkeys(("gradcam", "gradcam_overlay", "original"), _PNG),
    **dict.fromkeys(("model_type", "architecture"), "resnetv2_50_stages3"),
    "source": "slice.png",
    "path": "glioma/b.png",
    "error": "expected an image, got an empty file",
    "probabilities": _CLASSES,
    "all_probabilities": {"glioma": 0.971, "notumor": 0.009},
    "tumor_probability": 0.991,
    "threshold": 0.41,
    "prediction_set": ["glioma"],
    "decision": "accept",
    "reasons": [],
    "notes": "accepted.",
    "plane": "axial",
    "headline": "Glioma",
    "unsure": False,
    "summary": "Glioma (97.1 %), flagged as a tumor: tumor probability 99.1 %, "
    "at or above the threshold of 41.0 %.",
    "created": "2026-03-01T09:30:00Z",
    "caller": "ward-3",
    "arm": "main",
    "seed": 7,
    "count": 1,
    "total": 10,
    "correct": 9,
    "accuracy": 0.9,
    "model_name": "four_class",
    **dict.fromkeys(("width", "height"), 512),
}
"""By the name of a field, whatever model has it."""

OF_MODELS: dict[str, dict[str, Any]] = {
    "BundleReference": _BUNDLE,
    "StudyAnswer": {
        "slices_flagged": 5,
        "slices_total": 24,
        "key_slices": ["scan.zip!12.dcm", "scan.zip!13.dcm", "scan.zip!11.dcm"],
    },
    "StudyPredictionOut": {
        "source": "scan.zip",
        "slices": ["scan.zip!11.dcm"],
        "decision": "review",
        "reasons": ["low_trust"],
        "notes": ["1 gap of 10.0 mm where slices lie 5.0 mm apart"],
    },
    "PredictionOut": {"maps": None},
    "ExplanationOut": {"heatmap": _PNG, "target": "glioma", "peak": [201, 174]},
    "FeedbackOut": {"id": "0c1d" * 8, "agree": False, "label": "meningioma", "note": "falx"},
    "FeedbackTaken": {"id": "0c1d" * 8},
    "RecordOut": {
        "route": "/v1/predict",
        "request_id": "2f1e0b0c3c0c4b0f9a530f4b1a9e1d11",
        "input_sha256": "0" * 64,
        "slice_index": None,
        "shadow_of": None,
        "bundle": _BUNDLE,
        "summary": {"rows": 512.0, "columns": 512.0, "mean": 0.31},
        "ood_score": -4.2,
        "distance": -4.2,
    },
    "MetricsOut": {"notes": "The model was trained on 0 of 10 slices, or on copies of them."},
    "EvaluateOut": {"report": {"n": 250, **_ACCURACY}},
    "ModelOut": {
        "task": "four_class",
        "classes": list(_CLASSES),
        "negative_class": "no_tumor",
        "input_size": 160,
        "decision": {"temperature": 0.8},
        "evaluation": _ACCURACY,
        "intended_use": "Research on brain MRI slices.",
        "licences": {"code and model": "MIT"},
    },
    "ModelInfoOut": {
        "num_classes": 4,
        "class_names": list(_CLASSES),
        "input_size": [1, 160, 160],
        "device": "cpu",
        "version": "0.1.0",
        "slicewise_version": __version__,
    },
    "CallerOut": {"name": "ward-3", "role": "predict", "requests_a_minute": 600},
    "UploadOut": {"filename": "slice.png", "format": "PNG", "slices": 1},
    "BoxOut": {"x": 150, "y": 171, "width": 84, "height": 66, "level": 0.5},
    "AgreementOut": {"level": "unanimous", "share": 1.0, "models": 2},
    "AnalysisOut": {"agreement_note": None},
    "ReadyOut": {"waiting": 0},
    "HealthOut": {"model_loaded": True},
    "BinaryOut": {
        "predicted_class": 1,
        "predicted_label": "Tumor",
        "confidence": 0.991,
        "probabilities": {"No Tumor": 0.009, "Tumor": 0.991},
    },
    "Problem": {
        "type": "urn:slicewise:problem:unprocessable-content",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "scan.png: expected a readable PNG picture, got broken or truncated data",
        "instance": "urn:uuid:2f1e0b0c-3c0c-4b0f-9a53-0f4b1a9e1d11",
        "errors": None,
    },
}
"""Of one model and those made from it; comes before `VALUES`."""


class ResponseModel(BaseModel):
    """What a route answers with; the OpenAPI description shows an example of it."""


def add_examples(description: dict[str, Any]) -> None:
    """Put an example of every response model into an OpenAPI description, in place."""
    schemas = description["components"]["schemas"]
    for model in _models_below(ResponseModel):
        if model.__name__ in schemas:
            schemas[model.__name__]["examples"] = [example_of(model)]


def _models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in model.__subclasses__():
        yield each
        yield from _models_below(each)


def example_of(model: type) -> dict[str, Any]:
    """A made-up value of every field of a model or dataclass; KeyError where there is none."""
    own = {
        name: value
        for each in reversed(model.__mro__)
        for name, value in OF_MODELS.get(each.__name__, {}).items()
    }
    return {
        name: own[name] if name in own else _value(name, hint, default)
        for name, hint, default in _fields(model)
    }


def _fields(model: type) -> Iterator[tuple[str, Any, Any]]:
    """Name in JSON, type and default of every field."""
    if issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield field.alias or name, field.annotation, field.default
    elif is_dataclass(model):
        hints = get_type_hints(model)
        yield from ((field.name, hints[field.name], PydanticUndefined) for field in fields(model))


def _value(name: str, hint: Any, default: Any) -> Any:
    nested = _nested(hint)
    if nested is not None:
        return nested
    return VALUES[name] if default is PydanticUndefined or name in VALUES else default


def _nested(hint: Any) -> Any:
    """The example of a model that a type names, in a list or dictionary where it does; or None."""
    if isinstance(hint, type) and (issubclass(hint, BaseModel) or is_dataclass(hint)):
        return example_of(hint)
    for inner in get_args(hint):
        if (found := _nested(inner)) is not None:
            kind = get_origin(hint)
            found = [found] if kind in (list, Sequence) else found
            return {"glioma": found} if kind is dict else found
    return None
