"""Made-up answers of every route, to show their shape in the OpenAPI description."""

from __future__ import annotations

from typing import Any

from slicewise import __version__
from slicewise.inference.results import DISCLAIMER
from slicewise.service.http.schemas import EXAMPLE, ID_EXAMPLE

_PNG = "iVBORw0…"
_BUNDLE = EXAMPLE["bundle"]
_CLASSES = list(EXAMPLE["probabilities"])
_SOURCE = {"source": EXAMPLE["source"], "error": "expected an image, got an empty file"}
_DRAWN = {"heatmap": _PNG, "original": _PNG, "target": "glioma", "peak": [201, 174]}
_STUDY = {
    "source": "scan.zip",
    "plane": "axial",
    "study": {
        "label": "glioma",
        "tumor_probability": 0.984,
        "tumor_flag": True,
        "slices_flagged": 5,
        "slices_total": 24,
        "key_slices": ["scan.zip!12.dcm", "scan.zip!13.dcm", "scan.zip!11.dcm"],
    },
    "threshold": EXAMPLE["threshold"],
    "decision": "review",
    "reasons": ["low_trust"],
    "bundle": _BUNDLE,
}
_ACCOUNT = {
    "notes": f"accepted. {DISCLAIMER}",
    "decision": "accept",
    "reasons": [],
    "id": ID_EXAMPLE,
    "source": EXAMPLE["source"],
    "bundle": _BUNDLE,
    "disclaimer": DISCLAIMER,
}
_BINARY = {
    **_ACCOUNT,
    "predicted_class": 1,
    "predicted_label": "Tumor",
    "confidence": 0.991,
    "probabilities": {"No Tumor": 0.009, "Tumor": 0.991},
    "threshold": EXAMPLE["threshold"],
}
_API = {
    **_ACCOUNT,
    "predictions": [{"class": "glioma", "probability": 0.971}],
    "gradcam": _PNG,
    "original": _PNG,
}
_WRITTEN = "2026-03-01T09:30:00Z"
_FEEDBACK = {
    "id": "0c1d" * 8,
    "created": _WRITTEN,
    "caller": "ward-3",
    "agree": False,
    "label": "meningioma",
    "note": "falx",
}
_RECORD = {
    **{k: EXAMPLE[k] for k in ("id", "label", "confidence", "probabilities", "tumor_probability")},
    **{k: EXAMPLE[k] for k in ("tumor_flag", "threshold", "prediction_set", "decision", "reasons")},
    "created": _WRITTEN,
    "caller": "ward-3",
    "route": "/v1/predict",
    "request_id": "2f1e0b0c3c0c4b0f9a530f4b1a9e1d11",
    "input_sha256": "0" * 64,
    "slice_index": None,
    "shadow_of": None,
    "arm": "main",
    "bundle": _BUNDLE,
    "latency_ms": 41.2,
    "summary": {"rows": 512.0, "columns": 512.0, "mean": 0.31},
    "ood_score": -4.2,
    "distance": -4.2,
    "feedback": [_FEEDBACK],
}
_MODEL = {
    "arm": "main",
    "bundle": _BUNDLE,
    "task": "four_class",
    "classes": _CLASSES,
    "negative_class": "no_tumor",
    "architecture": "resnetv2_50_stages3",
    "input_size": 160,
    "decision": {"temperature": 0.8},
    "evaluation": {"accuracy": {"value": 0.9, "ci_low": 0.86, "ci_high": 0.93}},
    "intended_use": "Research on brain MRI slices.",
    "licences": {"code and model": "MIT"},
    "created": "2026-03-01T09:30:00+00:00",
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "EnvelopeOut": {
        "predictions": [EXAMPLE],
        "studies": [_STUDY],
        "errors": [_SOURCE],
        "disclaimer": DISCLAIMER,
    },
    "ExplanationsOut": {
        "predictions": [{**EXAMPLE, **_DRAWN}],
        "studies": [],
        "errors": [],
        "disclaimer": DISCLAIMER,
    },
    "RecordOut": _RECORD,
    "FeedbackTaken": {"id": _FEEDBACK["id"], "prediction_id": ID_EXAMPLE},
    "EvaluateOut": {
        "report": {"n": 250, "accuracy": {"value": 0.9, "ci_low": 0.86, "ci_high": 0.93}},
        "disclaimer": DISCLAIMER,
    },
    "ModelsOut": {"models": [_MODEL], "disclaimer": DISCLAIMER},
    "ModelInfoOut": {
        "model_name": "four_class",
        "version": "0.1.0",
        "architecture": "resnetv2_50_stages3",
        "num_classes": 4,
        "class_names": _CLASSES,
        "input_size": [1, 160, 160],
        "threshold": EXAMPLE["threshold"],
        "device": "cpu",
        "bundle": _BUNDLE,
        "slicewise_version": __version__,
        "disclaimer": DISCLAIMER,
    },
    "RandomTestOut": {**_API, "true_label": "glioma", "seed": 7, "synthetic": True},
    "AliveOut": {"status": "ok", "version": __version__},
    "ReadyOut": {"status": "ready", "bundle": _BUNDLE, "database": "writable", "waiting": 0},
    "HealthOut": {
        "status": "healthy",
        "model_loaded": True,
        "model_name": "four_class",
        "version": __version__,
    },
    "MetricsOut": {
        "accuracy": 0.9,
        "total": 10,
        "correct": 9,
        "counts": {"glioma": {"total": 10, "correct": 9}},
        "skipped": [{"path": "glioma/b.png", "error": "expected an image, got an empty file"}],
        "predictions": None,
        "bundle": _BUNDLE,
        "disclaimer": DISCLAIMER,
    },
    "PredictOut": {
        **_ACCOUNT,
        "success": True,
        "predicted_class": "glioma",
        "confidence": 0.971,
        "all_probabilities": {"glioma": 0.971, "notumor": 0.009},
        "model_type": "resnetv2_50_stages3",
        "classification": "glioma",
        "has_tumor": True,
        "tumor_probability": 0.991,
        "segmentation_available": False,
        "tumor_volume_ml": None,
        "cam": None,
    },
    "ApiPredictOut": _API,
    "BinaryOut": _BINARY,
    "BinaryBatch": {
        "predictions": [_BINARY],
        "count": 1,
        "errors": [_SOURCE],
        "disclaimer": DISCLAIMER,
    },
    "BinaryWithOverlay": {**_BINARY, "gradcam_overlay": _PNG},
}
"""By the name of the model that a route answers with."""


def add_examples(described: dict[str, Any]) -> None:
    """Put the examples into an OpenAPI description; changed in place.

    Args:
        described: The description.
    """
    schemas = described["components"]["schemas"]
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
