"""Records of answers as a service would have written them, built in code."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from slicewise.audit_log.records import PredictionRecord

START = datetime(2026, 3, 1, tzinfo=UTC)
BUNDLE = ("tiny", "0.1.0", "ab" * 32)
LABELS = ("glioma", "meningioma", "no_tumor", "pituitary")


def answer(number: int, **changed: Any) -> PredictionRecord:
    """One answer, everything in it drawn from its number; what is given comes first."""
    rng = np.random.default_rng(number)
    confidence = float(rng.beta(6, 1))
    label = str(rng.choice(LABELS))
    values: dict[str, Any] = {
        "id": f"{number:032x}",
        "created": START + timedelta(minutes=10 * number),
        "caller": "open",
        "route": "/v1/predict",
        "request_id": f"{number:032x}",
        "input_sha256": hashlib.sha256(str(number).encode()).hexdigest(),
        "slice_index": None,
        "shadow_of": None,
        "arm": "main",
        "bundle": BUNDLE,
        "label": label,
        "confidence": confidence,
        "probabilities": {label: confidence},
        "tumor_probability": float(rng.beta(2, 1)),
        "tumor_flag": True,
        "threshold": 0.5,
        "prediction_set": [label],
        "decision": "accept" if confidence > 0.8 else "review",
        "reasons": [] if confidence > 0.8 else ["low_confidence"],
        "latency_ms": 9.0,
        "summary": {"rows": 512.0, "mean": float(rng.normal(0.3, 0.05))},
        "ood_score": float(rng.normal(-4, 1)),
    }
    return PredictionRecord(**{**values, **changed})


def answers(count: int, first: int = 0, **changed: Any) -> list[PredictionRecord]:
    """Answers ten minutes apart."""
    return [answer(number, **changed) for number in range(first, first + count)]
