"""What to be careful about, and what to look into next: rules on metrics, nothing else.

Every sentence follows from a rule that stands here and names the metrics that it follows from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from slicewise.evaluation.sections.headlines import OVERALL, TUMOR, at
from slicewise.stats.bootstrap import MINIMUM_DEFINED
from slicewise.text import class_text, counted, figure_text, number_text, percent_text

Report = Mapping[str, Any]
"""The content of `metrics.json`."""

FEW_GROUPS = 20
"""Below so many groups, intervals from resampled groups are too narrow."""
NEAR_COPYING = 0.05
"""The accuracy is near that of copying when it is less than this above it."""
WEAK_CLASS = 0.8
"""A sensitivity of a class below this is mentioned."""
MISCALIBRATED = 0.05
"""A calibration error from here on is mentioned, where its interval lies above half of it."""
MANY_CONFIDENT = 0.25
"""Share of confident ones among the wrong answers from which on it is mentioned."""


def cautions(report: Report) -> list[str]:
    """What a reader of the metrics must know before reading them."""
    return [
        *few_groups(report["groups"], report["per_class"]),
        *_no_spread(report),
        *_seen(report),
        *_unread(report),
        *_untyped(report),
        *_collapsed(report),
        *_copies_alone(report),
    ]


def advice(report: Report) -> list[str]:
    """What the metrics suggest to do next, the rules in a fixed order."""
    rules = (
        _more_groups,
        _copying,
        _weak_classes,
        _sources_differ,
        _calibration,
        _confident_errors,
        _threshold,
        _decisions,
        _coverage,
    )
    return [sentence for rule in rules for sentence in rule(report)]


def few_groups(groups: int, per_class: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """That intervals are too narrow, where groups are few.

    Args:
        per_class: By class; `groups` are those that hold it.
    """
    if groups < FEW_GROUPS:
        return [
            f"These slices come from {counted(groups, 'group')}. With fewer than {FEW_GROUPS} the "
            "intervals are too narrow; read them as a lower bound of the uncertainty."
        ]
    small = [
        f"{class_text(name)} {entry['groups']}"
        for name, entry in per_class.items()
        if 0 < entry["groups"] < FEW_GROUPS
    ]
    if not small:
        return []
    return [
        f"Fewer than {FEW_GROUPS} groups hold these classes: {', '.join(small)}. Their own "
        "intervals are too narrow."
    ]


def _no_spread(report: Report) -> Iterator[str]:
    """Metrics that resampling cannot move, so that it says nothing of their chance."""
    most = (1 - MINIMUM_DEFINED) * report["interval"]["resamples"]
    without = [
        headline.title
        for headline in (*OVERALL, *TUMOR)
        if (found := headline.figure(report))["value"] is not None
        and found["ci_low"] is None
        and found.get("skipped", 0) <= most
    ]
    if without and report["groups"] > 1:
        yield (
            f"These metrics are the same whichever groups are drawn: {', '.join(without)}. They "
            "have no interval, and nothing here tells how far they are from those of other groups."
        )


def _seen(report: Report) -> Iterator[str]:
    if report["allow_seen"] and report["seen_evaluated"]["count"]:
        yield (
            f"{report['seen_evaluated']['count']} of these slices, or copies of them, were trained "
            "on (--allow-seen): the metrics show memory as well as skill."
        )
    seen = report["refused"]["seen"]
    if not seen["checked"]:
        yield f"It is not known whether these slices were trained on: {seen['check']}."


def _unread(report: Report) -> Iterator[str]:
    count = report["refused"]["failed"]["count"]
    if count:
        named, verb = counted(count, "slice"), "is" if count == 1 else "are"
        yield f"{named} could not be read, or had changed, and {verb} in no metric."


def _untyped(report: Report) -> Iterator[str]:
    count = report["refused"]["untyped"]["count"]
    if count:
        yield (
            f"{counted(count, 'slice')} labelled tumor without a kind, where others tell theirs: "
            "left out of every metric, tumor against no tumor included (refused.untyped). --map "
            "KIND=tumor for every kind measures all slices on tumor against no tumor."
        )


def _copies_alone(report: Report) -> Iterator[str]:
    """As `data build` and `data audit` say it: nothing but copies holds slices together."""
    sources = report["groups_of_copies"]
    if sources:
        yield (
            f"No patients or groups are known in {', '.join(sources)}: groups there are copies "
            "alone. Slices of one patient may stand in several splits and count as several groups, "
            "so metrics may be too good and intervals too narrow."
        )


def _collapsed(report: Report) -> Iterator[str]:
    if report["labels"] is not None and report["labels"]["collapsed"]:
        yield (
            "The manifest tells only tumor from no tumor. The kinds of tumor that the model "
            "answered were counted as tumor; nothing here says how well it tells them apart."
        )


def _more_groups(report: Report) -> Iterator[str]:
    named = {n: e["groups"] for n, e in report["per_class"].items() if e["groups"]}
    fewest = min(named, key=lambda name: (named[name], name))
    if named[fewest] < FEW_GROUPS:
        yield (
            f"Collect more groups of {class_text(fewest)} (now {named[fewest]}): more patients "
            "make the intervals narrower, more slices of the same patients hardly do."
        )


def _copying(report: Report) -> Iterator[str]:
    copying, accuracy = report["memorisation_1nn"]["value"], report["accuracy"]["value"]
    if copying is not None and accuracy - copying < NEAR_COPYING:
        yield (
            f"Copying the label of the nearest training slice scores {number_text(copying)}, the "
            f"model {number_text(accuracy)}. Look for copies across the splits with "
            "`slicewise data audit` before trusting the accuracy."
        )


def _weak_classes(report: Report) -> Iterator[str]:
    mistakes = report["patterns"]["mistakes"]
    for name, entry in report["per_class"].items():
        found = entry["sensitivity"]
        if found["value"] is None or found["value"] >= WEAK_CLASS:
            continue
        taken = next((pair for pair in mistakes if pair["true"] == name), None)
        share = f"{class_text(name).capitalize()} is found in {figure_text(found)} of its slices."
        yield share if taken is None else share + _taken_for(taken)


def _taken_for(pair: Mapping[str, Any]) -> str:
    return (
        f" It is mostly taken for {class_text(pair['answered'])} ({counted(pair['n'], 'slice')} of "
        f"{counted(pair['groups'], 'group')}): look at these first."
    )


def _sources_differ(report: Report) -> Iterator[str]:
    """Sources whose intervals of the same metric lie apart."""
    for one, other in combinations(report["per_source"].items(), 2):
        for path in (("accuracy",), ("tumor", "sensitivity"), ("tumor", "specificity")):
            low, high = sorted(
                ((at(entry, path), name) for name, entry in (one, other)),
                key=lambda pair: pair[0]["value"] if pair[0]["value"] is not None else 0.0,
            )
            if _apart(low[0], high[0]):
                yield (
                    f"{' '.join(path).capitalize()} differs between sources: "
                    f"{figure_text(low[0])} on {low[1]}, {figure_text(high[0])} on {high[1]}. A "
                    "model may read the source instead of the tumor; `slicewise data audit` "
                    "probes for it."
                )


def _calibration(report: Report) -> Iterator[str]:
    found = report["ece"]
    if found["value"] >= MISCALIBRATED and (found["ci_low"] or 0) > MISCALIBRATED / 2:
        yield (
            f"Confidence and accuracy differ by {figure_text(found)} on average. Fit the "
            "temperature again on validation slices that resemble these."
        )


def _confident_errors(report: Report) -> Iterator[str]:
    wrong = report["patterns"]["confidence"]["wrong"]
    if wrong["n"] and wrong["confident"] / wrong["n"] >= MANY_CONFIDENT:
        yield (
            f"{wrong['confident']} of {wrong['n']} wrong answers have a confidence of at least "
            "0.9. Look at them one by one: wrong labels, other kinds of slices, or a shortcut."
        )


def _threshold(report: Report) -> Iterator[str]:
    best = report["threshold_sweep"]
    if not report["tumor"]["threshold"]["fitted"] and best["threshold"] is not None:
        yield (
            "The tumor threshold was not fitted. On these very slices the best would be "
            f"{number_text(best['threshold'])}; choose it on validation slices, not on these."
        )


def _decisions(report: Report) -> Iterator[str]:
    counts = report["decisions"]["counts"]
    if counts is None:
        return
    if counts["accept"] == 0:
        yield (
            "No answer was accepted by itself. Look at the reasons: `not_calibrated` means that "
            "the bundle holds no fitted limits."
        )
        return
    accepted, accuracy = report["decisions"]["accept"]["accuracy"], report["accuracy"]
    if accepted["value"] <= accuracy["value"]:
        yield (
            f"Accepted answers are right in {figure_text(accepted)}, all answers in "
            f"{figure_text(accuracy)}: the limits for accepting do not sort out errors here."
        )


def _coverage(report: Report) -> Iterator[str]:
    sets = report["conformal"]
    promised, found = sets.get("promised"), sets["coverage"]
    if promised is None or found["ci_high"] is None or found["ci_high"] >= promised:
        return
    yield (
        f"The prediction sets hold the true class in {figure_text(found)}, where "
        f"{percent_text(promised)} was promised: these slices differ from those the sets were "
        "fitted on."
    )


def _apart(low: Mapping[str, Any], high: Mapping[str, Any]) -> bool:
    if low["ci_high"] is None or high["ci_low"] is None:
        return False
    return bool(low["ci_high"] < high["ci_low"])
