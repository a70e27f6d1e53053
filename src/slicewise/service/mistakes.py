"""What pydantic finds wrong with a value that was given: what was expected, and what was got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EXPECTED = {
    "missing": "a value",
    "literal_error": "one of {expected}",
    "string_type": "text",
    "string_too_short": "at least {min_length:,} characters",
    "string_too_long": "at most {max_length:,} characters",
    "string_pattern_mismatch": "an id, 32 hexadecimal digits",  # no other pattern is asked for
    "list_type": "a list",
    "too_short": "at least {min_length:,} in the list",
    "too_long": "at most {max_length:,} in the list",
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "an object"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    "greater_than": "more than {gt:,}",
    "greater_than_equal": "at least {ge:,}",
    "less_than_equal": "at most {le:,}",
}
"""By the type of an error, with what its context holds."""

_KINDS = {list: "a list", dict: "an object", type(None): "null"}


def mistake(error: Mapping[str, Any]) -> str:
    """One error in words; of a text or list of a wrong length, only the length."""
    context, kind, given = error.get("ctx", {}), error["type"], error.get("input")
    if "error" in context:  # of a validator of ours, which says both
        return str(context["error"])
    got = _KINDS.get(type(given), str(given).lower())
    if kind == "missing":
        got = "none"
    elif kind.endswith(("_short", "_long")):
        got = f"{len(given or ''):,}"
    elif isinstance(given, str):
        got = repr(given[:40])
    wanted = _EXPECTED.get(kind)
    return (
        f"{error['msg'] if wanted is None else 'expected ' + wanted.format(**context)}; got {got}"
    )
