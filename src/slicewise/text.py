"""Numbers in words, never rounded to certainty, and names that can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIRST_SHOWN, LAST_SHOWN = 0.0005, 0.9995  # beyond these three decimals would say 0 or 1
_ONE = 1 - 1e-14  # from here on a number differs from 1 by the rounding of sums alone


def number_text(value: float) -> str:
    """Three decimals; `<0.001` and `>0.999` where rounding would say 0 or 1 and it is not."""
    if 0 < value < FIRST_SHOWN:
        return "<0.001"
    if LAST_SHOWN <= value < _ONE:
        return ">0.999"
    return f"{value:.3f}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, whose plural ends in s: `1 slice`, `2,000 slices`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent_text(share: float) -> str:
    """One decimal; `<0.1 %` and `>99.9 %` where rounding would say 0 or 100 and it is not."""
    if 0 < share < FIRST_SHOWN:
        return "<0.1 %"
    if LAST_SHOWN <= share < _ONE:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def percents_apart(first: float, second: float) -> tuple[str, str]:
    """Two shares in percent, with the decimals that it takes to tell them apart."""
    texts = percent_text(first), percent_text(second)
    for digits in range(2, 14):
        if first == second or texts[0] != texts[1]:
            break
        texts = f"{100 * first:.{digits}f} %", f"{100 * second:.{digits}f} %"
    return texts


def share_text(share: float, ci_low: float | None, ci_high: float | None) -> str:
    """A share with its interval, where it has one: `91.2 % (89.0-93.1)`."""
    if ci_low is None or ci_high is None:
        return percent_text(share)
    ends = (percent_text(end).removesuffix(" %") for end in (ci_low, ci_high))
    return f"{percent_text(share)} ({'-'.join(ends)})"


def figure_text(estimate: Mapping[str, Any]) -> str:
    """A figure for people: `0.912 (0.890-0.931)`, or why there is none."""
    if estimate["value"] is None:
        return f"not available: {estimate.get('reason', 'undefined')}"
    value = number_text(estimate["value"])
    if estimate["ci_low"] is None:
        return f"{value} (no interval: {estimate.get('reason', 'undefined')})"
    return f"{value} ({number_text(estimate['ci_low'])}-{number_text(estimate['ci_high'])})"


def signed_text(estimate: Mapping[str, Any]) -> str:
    """A difference for people: `+0.120 (+0.040 to +0.200)`, or why there is none."""
    if estimate["value"] is None or estimate["ci_low"] is None:
        return figure_text(estimate)
    return change_text(estimate)


def change_text(
    estimate: Mapping[str, Any], digits: int = 3, scale: float = 1.0, unit: str = ""
) -> str:
    """The same for a cell of a table, `scale` times as large and with a unit; a dash without it."""
    value, low, high = (estimate[name] for name in ("value", "ci_low", "ci_high"))
    if value is None:
        return "-"
    text = f"{scale * value:+.{digits}f}{unit}"
    if low is None:
        return text
    return f"{text} ({scale * low:+.{digits}f} to {scale * high:+.{digits}f})"


def cell_text(estimate: Mapping[str, Any]) -> str:
    """A figure for a cell of a table: a dash where there is none, no reason in words."""
    if estimate["value"] is None:
        return "-"
    if estimate["ci_low"] is None:
        return number_text(estimate["value"])
    return figure_text(estimate)


def printable(text: str) -> str:
    """A name as it may be shown on one line: control characters, undecodable bytes as escapes."""
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return visible.encode("utf-8", "backslashreplace").decode()


def class_text(name: str) -> str:
    """A class name for people: `no_tumor` reads `no tumor`."""
    return name.replace("_", " ")
