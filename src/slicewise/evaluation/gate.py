"""A gate: limits that the metrics of a report are held to, by the wrong end of their interval.

A metric passes when even the unfavourable end of its interval keeps the limit: the lower end where
more is better, the upper end of calibration error and Brier score. The limits and their meaning
are the user's. A passed gate is no statement about use on patients.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slicewise.config import nearest, problems
from slicewise.errors import ConfigError
from slicewise.evaluation.sections.headlines import at
from slicewise.files import write_json
from slicewise.reports.blocks import Section
from slicewise.text import number_text

MEANING = (
    "Each limit is held against the unfavourable end of the interval, not against the metric "
    "itself. The limits were chosen by whoever wrote the gate file. A passed gate is a result of "
    "research on these slices; it says nothing about use on patients."
)
SMALLER_IS_BETTER = ("ece", "brier")
Share = Annotated[float, Field(ge=0, le=1)]
Limit = Share | None


class _Limits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _ClassLimits(_Limits):
    precision: Limit = None
    sensitivity: Limit = None
    specificity: Limit = None
    f1: Limit = None
    auroc: Limit = None
    auprc: Limit = None


class _TumorLimits(_Limits):
    sensitivity: Limit = None
    specificity: Limit = None
    ppv: Limit = None
    npv: Limit = None
    auroc: Limit = None
    auprc: Limit = None


class _SourceLimits(_Limits):
    accuracy: Limit = None
    balanced_accuracy: Limit = None
    tumor: _TumorLimits | None = None


class _VerdictLimits(_Limits):
    share: Limit = None
    accuracy: Limit = None


class _DecisionLimits(_Limits):
    accept: _VerdictLimits | None = None


class _ConformalLimits(_Limits):
    coverage: Limit = None


class _Minimum(_Limits):
    n: int | None = Field(None, ge=1)
    groups: int | None = Field(None, ge=1)
    groups_per_class: int | None = Field(None, ge=1)


class Gate(_Limits):
    """The content of a gate file; what is not named is not asked."""

    accuracy: Limit = None
    balanced_accuracy: Limit = None
    macro_auroc: Limit = None
    macro_f1: Limit = None
    ece: Limit = None
    brier: Annotated[float, Field(ge=0, le=2)] | None = None
    per_class: dict[str, _ClassLimits] = Field(default_factory=dict)
    tumor: _TumorLimits | None = None
    sources: dict[str, _SourceLimits] = Field(default_factory=dict)
    decisions: _DecisionLimits | None = None
    conformal: _ConformalLimits | None = None
    minimum: _Minimum | None = None


class LimitCheck(NamedTuple):
    """One limit held to one metric, named by its keys in `metrics.json`, with dots.

    `measured` is the end of its interval, or a count; None where there is none.
    """

    metric: str
    limit: float
    measured: float | None
    passed: bool
    explanation: str


class Judgement(NamedTuple):
    """All checks of a gate, in the order of its file."""

    checks: tuple[LimitCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every limit is kept."""
        return all(check.passed for check in self.checks)

    @property
    def kept(self) -> str:
        """How many limits are kept, in words."""
        return f"{sum(check.passed for check in self.checks)} of {len(self.checks)} limits kept"

    @property
    def outcome(self) -> str:
        """What may be said of it."""
        return f"research gate {'passed' if self.passed else 'failed'}"


def load_gate(path: Path) -> Gate:
    """Read and check a gate file.

    Raises:
        ConfigError: If it cannot be read, asks for nothing, or a key or value is wrong; for an
            unknown key the message names the nearest known one.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason, mark = " ".join(str(error).split()), getattr(error, "problem_mark", None)
        if isinstance(error, yaml.MarkedYAMLError) and mark is not None:
            reason = f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
        raise ConfigError(f"{path}: expected a gate as YAML; got {reason}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected metrics and limits; got {type(content).__name__}")
    try:
        gate = Gate.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(problems(error, Gate))}") from error
    if not list(_limits(gate.model_dump(exclude_none=True))):
        raise ConfigError(f"{path}: expected at least one limit; got none")
    return gate


def require_known(gate: Gate, classes: Collection[str], sources: Collection[str]) -> None:
    """`ConfigError` where a gate names a class or source not evaluated; names the nearest."""
    named = [("per_class", name, classes) for name in gate.per_class]
    named += [("sources", name, sources) for name in gate.sources]
    for where, name, known in named:
        if name not in known:
            raise ConfigError(
                f"gate: {where}.{name}: expected one of {', '.join(known)} "
                f"(nearest: {nearest(name, known)})"
            )


def judge(gate: Gate, report: Mapping[str, Any]) -> Judgement:
    """Hold a report, as in `metrics.json`, to a gate; raises as `require_known`."""
    require_known(gate, report["per_class"], report["per_source"])
    asked = gate.model_dump(exclude_none=True)
    minimum = asked.pop("minimum", {})
    checks = [_check(path, limit, report) for path, limit in _limits(asked)]
    return Judgement((*_counted(minimum, report), *checks))


def _limits(asked: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for name, value in asked.items():
        if isinstance(value, Mapping):
            yield from _limits(value, (*above, name))
        else:
            yield (*above, name), value


def _counted(minimum: Mapping[str, int], report: Mapping[str, Any]) -> Iterator[LimitCheck]:
    smallest = min(entry["groups"] for entry in report["per_class"].values())
    counts = {"n": report["n"], "groups": report["groups"], "groups_per_class": smallest}
    for name, least in minimum.items():
        found = counts[name]
        explanation = f"{found} where at least {least} are asked"
        yield LimitCheck(f"minimum.{name}", least, found, found >= least, explanation)


def _check(path: tuple[str, ...], limit: float, report: Mapping[str, Any]) -> LimitCheck:
    found = at(report, ["per_source" if name == "sources" else name for name in path])
    dotted, falling = ".".join(path), path[-1] in SMALLER_IS_BETTER
    end = found["ci_high" if falling else "ci_low"]
    if end is None:
        return LimitCheck(dotted, limit, None, False, f"no interval: {found['reason']}")
    kept = end <= limit if falling else end >= limit
    side, wanted = ("upper", "at most") if falling else ("lower", "at least")
    explanation = f"{side} end of the interval {end:.4f}, {wanted} {limit:g} is asked"
    return LimitCheck(dotted, limit, end, kept, explanation)


def write_gate(judgement: Judgement, gate: Gate, out_dir: Path) -> Section:
    """Write `gate.json` into a folder that exists; its section of the report."""
    content = {
        "passed": judgement.passed,
        "words": judgement.outcome,
        "meaning": MEANING,
        "gate": gate.model_dump(exclude_none=True),
        "checks": [
            {**check._asdict(), "figure": check.metric, "said": check.explanation}  # older names
            for check in judgement.checks
        ],
    }
    write_json(out_dir / "gate.json", content)
    return Section.of(
        "Research gate",
        f"{judgement.outcome.capitalize()}: {judgement.kept}. {MEANING}",
        ("metric", "limit", "measured", "kept", "in words"),
        [
            (c.metric, f"{c.limit:g}", _measured(c), "yes" if c.passed else "no", c.explanation)
            for c in judgement.checks
        ],
    )


def _measured(check: LimitCheck) -> str:
    if check.measured is None:
        return "-"
    return str(check.measured) if isinstance(check.measured, int) else number_text(check.measured)
