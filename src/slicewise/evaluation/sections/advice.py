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
    groups = few_groups(report["groups"], report["per_class"])
    return [*groups, *_no_spread(report), *_without_slices(report), *_left_out(report)]


def advice(report: Report) -> list[str]:
    """What the metrics suggest to do next, the rules in a fixed order."""
    rules = (_groups_and_copying, _weak_classes, _sources_differ, _probabilities, _decisions)
    return [sentence for rule in rules for sentence in rule(report)]


def count_faults(report: Report) -> int:
    """How many slices are missing by a fault of SliceWise, not of their files."""
    return sum("fault" in error for error in report["refused"]["failed"]["errors"])


def few_groups(groups: int, per_class: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """That intervals are too narrow, where there are few `groups`, or a class has few."""
    if groups < FEW_GROUPS:
        return [
            f"These slices come from {counted(groups, 'group')}. With fewer than {FEW_GROUPS} the "
            "intervals are too narrow; read them as a lower bound of the uncertainty."
        ]
    found = {class_text(name): entry["groups"] for name, entry in per_class.items()}
    small = ", ".join(f"{name} {count}" for name, count in found.items() if 0 < count < FEW_GROUPS)
    text = f"Fewer than {FEW_GROUPS} groups hold these classes: {small}. Their own "
    return [f"{text}intervals are too narrow."] if small else []


def _no_spread(report: Report) -> Iterator[str]:
    """Metrics that resampling cannot move, so that it says nothing of their chance."""
    most = (1 - MINIMUM_DEFINED) * report["interval"]["resamples"]
    without = [
        headline.title
        for headline in (*OVERALL, *TUMOR)
        if (found := headline.metric(report))["value"] is not None
        and found["ci_low"] is None
        and found.get("skipped", 0) <= most
    ]
    if without and report["groups"] > 1:
        yield (
            f"These metrics are the same whichever groups are drawn: {', '.join(without)}. They "
            "have no interval, and nothing here tells how far they are from those of other groups."
        )


def _without_slices(report: Report) -> Iterator[str]:
    """Classes of the model that no slice is of."""
    missing = [class_text(name) for name, entry in report["per_class"].items() if not entry["n"]]
    if missing:
        yield f"No slice here is of {' or '.join(missing)}: the metrics say nothing of that."


def _left_out(report: Report) -> Iterator[str]:
    seen, failed, untyped = (report["refused"][kind] for kind in ("seen", "failed", "untyped"))
    if report["allow_seen"] and report["seen_evaluated"]["count"]:
        yield (
            f"{report['seen_evaluated']['count']} of these slices, or copies of them, were trained "
            "on (--allow-seen): the metrics show memory as well as skill."
        )
    if report["allow_seen"] and (others := report["same_patients_evaluated"]["count"]):
        yield (
            f"{others} of these slices are others of patients that were trained on (--allow-seen): "
            "the metrics are too good."
        )
    if not seen["checked"]:
        yield f"It is not known whether these slices were trained on: {seen['check']}."
    patients = report["refused"]["same_patients"]
    if seen["checked"] and not patients["checked"]:
        yield (
            "It is not known whether other slices of the same patients were trained on: the model "
            "does not name its groups, as those of an earlier SliceWise do not."
        )
    if alike := patients["alike_in_name"]:
        yield (
            f"{counted(alike, 'slice')} here {'has' if alike == 1 else 'have'} a group or patient "
            "called like one that was trained on, but nothing else shows that they are the same. "
            "They are measured; if they are the same patients, the metrics are too good."
        )
    if unreadable := failed["count"] - (faults := count_faults(report)):
        named, verb = counted(unreadable, "slice"), "is" if unreadable == 1 else "are"
        yield f"{named} could not be read, or had changed, and {verb} in no metric."
    if faults:
        yield (
            f"SliceWise failed on {counted(faults, 'slice')}, which no metric counts: a fault of "
            "SliceWise, not of the files. Please report what refused.failed says of it."
        )
    if untyped["count"]:
        yield (
            f"{counted(untyped['count'], 'slice')} labelled tumor without a kind, which others "
            "have: left out of every metric, tumor against no tumor included (refused.untyped). "
            "--map KIND=tumor for every kind measures all slices on tumor against no tumor."
        )
    if report["labels"] is not None and report["labels"]["collapsed"]:
        yield (
            "The manifest tells only tumor from no tumor. The kinds of tumor that the model "
            "answered were counted as tumor; nothing here says how well it tells them apart."
        )
    if report["groups_of_copies"]:  # said by `data build` and `data audit` too
        yield (
            f"No patients or groups are known in {', '.join(report['groups_of_copies'])}: groups "
            "there are copies alone. Slices of one patient may stand in several splits and count "
            "as several groups, so metrics may be too good and intervals too narrow."
        )


def _groups_and_copying(report: Report) -> Iterator[str]:
    named = {n: e["groups"] for n, e in report["per_class"].items() if e["groups"]}
    fewest = min(named, key=lambda name: (named[name], name))
    if named[fewest] < FEW_GROUPS:
        yield (
            f"Collect more groups of {class_text(fewest)} (now {named[fewest]}): more patients "
            "make the intervals narrower, more slices of the same patients hardly do."
        )
    copying, accuracy = report["memorisation_1nn"]["value"], report["accuracy"]["value"]
    if copying is not None and accuracy - copying < NEAR_COPYING:
        yield (
            f"Copying the label of the nearest training slice scores {number_text(copying)}, the "
            f"model {number_text(accuracy)}. Look for copies across the splits with "
            "`slicewise data audit` before trusting the accuracy."
        )


def _weak_classes(report: Report) -> Iterator[str]:
    mistakes = {pair["true"]: pair for pair in reversed(report["error_analysis"]["mistakes"])}
    for name, entry in report["per_class"].items():
        found = entry["sensitivity"]
        if found["value"] is None or found["value"] >= WEAK_CLASS:
            continue
        text = f"{class_text(name).capitalize()} is found in {figure_text(found)} of its slices."
        if name in mistakes:
            pair = mistakes[name]
            text += (
                f" It is mostly taken for {class_text(pair['answered'])} "
                f"({counted(pair['n'], 'slice')} of {counted(pair['groups'], 'group')}): look at "
                "these first."
            )
        yield text


def _sources_differ(report: Report) -> Iterator[str]:
    for one, other in combinations(report["per_source"].items(), 2):
        for path in (("accuracy",), ("tumor", "sensitivity"), ("tumor", "specificity")):
            (low, below), (high, above) = sorted(
                ((at(entry, path), name) for name, entry in (one, other)),
                key=lambda pair: pair[0]["value"] or 0.0,
            )
            known = low["ci_high"] is not None and high["ci_low"] is not None
            if known and low["ci_high"] < high["ci_low"]:
                yield (
                    f"{' '.join(path).capitalize()} differs between sources: {figure_text(low)} on "
                    f"{below}, {figure_text(high)} on {above}. A model may read the source instead "
                    "of the tumor; `slicewise data audit` probes for it."
                )


def _probabilities(report: Report) -> Iterator[str]:
    found, best = report["ece"], report["threshold_sweep"]
    wrong = report["error_analysis"]["confidence"]["wrong"]
    if found["value"] >= MISCALIBRATED and (found["ci_low"] or 0) > MISCALIBRATED / 2:
        yield (
            f"Confidence and accuracy differ by {figure_text(found)} on average. Fit the "
            "temperature again on validation slices that resemble these."
        )
    if wrong["n"] and wrong["confident"] / wrong["n"] >= MANY_CONFIDENT:
        yield (
            f"{wrong['confident']} of {wrong['n']} wrong answers have a confidence of at least "
            "0.9. Look at them one by one: wrong labels, other kinds of slices, or a shortcut."
        )
    if not report["tumor"]["threshold"]["fitted"] and best["threshold"] is not None:
        yield (
            "The tumor threshold was not fitted. On these very slices the best would be "
            f"{number_text(best['threshold'])}; choose it on validation slices, not on these."
        )


def _decisions(report: Report) -> Iterator[str]:
    counts = report["decisions"]["counts"]
    accepted, accuracy = report["decisions"]["accept"]["accuracy"], report["accuracy"]
    if counts is not None and counts["accept"] == 0:
        yield (
            "No answer was accepted by itself. Look at the reasons: `not_calibrated` means that "
            "the bundle holds no fitted limits."
        )
    elif counts is not None and accepted["value"] <= accuracy["value"]:
        yield (
            f"Accepted answers are right in {figure_text(accepted)}, all answers in "
            f"{figure_text(accuracy)}: the limits for accepting do not sort out errors here."
        )
    promised, found = report["conformal"].get("promised"), report["conformal"]["coverage"]
    if promised is not None and found["ci_high"] is not None and found["ci_high"] < promised:
        yield (
            f"The prediction sets hold the true class in {figure_text(found)}, where "
            f"{percent_text(promised)} was promised: these slices differ from those the sets were "
            "fitted on."
        )
