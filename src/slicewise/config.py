"""What is wrong with a configuration, in words; for an unknown name, the nearest known one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_EXPECTED = {
    "missing": "a value",
    **dict.fromkeys(("string_type", "path_type"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("literal_error", "enum"), "one of {expected}"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "names with values"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    "greater_than": "more than {gt:,.15g}",
    "greater_than_equal": "at least {ge:,.15g}",
    "less_than": "less than {lt:,.15g}",
    "less_than_equal": "at most {le:,.15g}",
    "too_short": "at least {min_length:,} in the list",
    "too_long": "at most {max_length:,} in the list",
    "string_too_short": "at least {min_length:,} characters",
    "string_too_long": "at most {max_length:,} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
}
"""What was expected, by the name that pydantic gives a mistake; other mistakes in its words."""
_GOT = {type(None): "none", dict: "names with values", list: "a list", tuple: "a list"}
_SHOWN = 40  # characters of a wrong value


def problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every mistake that pydantic found in a configuration, each in one sentence."""
    items = error.errors(include_url=False)
    return [_problem(item, model) for item in items if not _follows(item, items)]


def expected(item: Mapping[str, Any], pattern: str = "") -> str:
    """What pydantic found wrong with a value, as `expected ...; got ...`.

    Of a text or list of a wrong length only the length is told. `pattern` says in words what a text
    has to look like.
    """
    kind, given, limits = item["type"], item.get("input"), item.get("ctx", {})
    got = _GOT.get(type(given), str(given).lower())
    if kind == "missing":
        got = "none"
    elif kind.endswith(("_short", "_long")):
        got = f"{len(given or ''):,}"
    elif isinstance(given, str):
        got = repr(given[:_SHOWN])
    if (wanted := _EXPECTED.get(kind)) is None:
        said = item["msg"].removeprefix("Value error, ")
        if choice := re.fullmatch(r"(.+) is not one of (.+)\.", said):  # in the words of Typer
            return f"expected one of {choice[2]}; got {choice[1]}"
        untold = isinstance(given, str | int | float) and "got" not in said and got not in said
        return f"{said} (got {got})" if untold else said
    if kind == "string_pattern_mismatch" and pattern:
        wanted = pattern
    return f"expected {wanted.format(**limits)}; got {got}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that a wrong one resembles most; at least one is known."""
    return get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def near(name: str, known: Iterable[str]) -> str:
    """` (nearest: NAME)` where a known name resembles a wrong one; nothing where none does."""
    return "".join(f" (nearest: {one})" for one in get_close_matches(name, list(known), n=1))


def _follows(item: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a list is too short only because what stands in it is wrong and told as well."""
    place = item["loc"]
    inside = (one["loc"] for one in items if one["loc"] != place)
    return item["type"] == "too_short" and any(at[: len(place)] == place for at in inside)


def _problem(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    location = item["loc"]
    where = ".".join(map(str, location))
    if item["type"] == "extra_forbidden":
        parents = location[:-1]
        known = nearest(str(location[-1]), _keys(parents, model))
        return f"unknown key {where}; nearest known key: {'.'.join(map(str, [*parents, known]))}"
    unquoted = item["type"] == "string_type" and isinstance(item["input"], int | float)
    told = f"{expected(item)} (quote it: '{item['input']}')" if unquoted else expected(item)
    return f"{where}: {told}" if where else told


def _keys(location: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    """The keys of the section at a place."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation), model)
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The configuration models that an annotation names, such as that in `Section | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
