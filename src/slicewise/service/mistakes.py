"""What pydantic finds wrong with a value that was given: what was expected, and what was got."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_EXPECTED = {
    "missing": "a value",
    "literal_error": "one of {expected}",
    "string_type": "text",
    "string_too_short": "at least {min_length:,} characters",
    "string_too_long": "at most {max_length:,} characters",
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

_SHOWN = (str, int, float, bool, type(None))


def mistake(error: Mapping[str, Any]) -> str:
    """One error in words; of a text or list of a wrong length, only the length."""
    context, kind, given = error.get("ctx", {}), error["type"], error.get("input")
    if "error" in context:  # of a validator of ours, which says both
        return str(context["error"])
    expected = (
        f"expected {_EXPECTED[kind].format(**context)}" if kind in _EXPECTED else error["msg"]
    )
    if kind == "missing":
        return f"{expected}; got none"
    if kind.endswith(("_short", "_long")):
        return f"{expected}; got {len(given or ''):,}"
    if not isinstance(given, _SHOWN):
        return f"{expected}; got {'a list' if isinstance(given, list) else 'an object'}"
    return (
        f"{expected}; got {json.dumps(given) if not isinstance(given, str) else repr(given[:40])}"
    )
