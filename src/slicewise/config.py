"""What is wrong with a configuration, in words; for an unknown name, the nearest known one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_EXPECTED = {
    **dict.fromkeys(("string_type", "path_type"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("literal_error", "enum"), "one of {expected}"),
    **dict.fromkeys(("model_type", "dict_type"), "a section of keys"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    "finite_number": "a finite number",
    "greater_than": "more than {gt:.15g}",
    "greater_than_equal": "at least {ge:.15g}",
    "less_than": "less than {lt:.15g}",
    "less_than_equal": "at most {le:.15g}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "string_pattern_mismatch": "text of the form {pattern}",
}
"""What was expected, by the name that pydantic gives a mistake; other mistakes in its words."""
_GOT: dict[Any, str] = {type(None): "nothing", dict: "a section of keys", list | tuple: "a list"}


def problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every mistake that pydantic found in a configuration, each in one sentence."""
    items = error.errors(include_url=False)
    return [_problem(item, model) for item in items if not _follows(item, items)]


def expected(item: Mapping[str, Any]) -> str:
    """What pydantic found wrong with a value, as `expected ...; got ...`."""
    kind, got, limits = item["type"], item.get("input"), item.get("ctx", {})
    if kind == "missing":
        return "expected a value; the key is missing"
    shown = next((word for form, word in _GOT.items() if isinstance(got, form)), repr(got))
    if (wanted := _EXPECTED.get(kind)) is None:
        said = item["msg"].removeprefix("Value error, ")
        if choice := re.fullmatch(r"(.+) is not one of (.+)\.", said):  # in the words of Typer
            return f"expected one of {choice[2]}; got {choice[1]}"
        untold = isinstance(got, str | int | float | bool) and repr(got) not in said
        return f"{said} (got {got!r})" if untold else said
    unquoted = kind == "string_type" and isinstance(got, int | float)
    quote = f" (quote it: '{got}')" if unquoted else ""
    return f"expected {wanted.format(**limits)}; got {shown}{quote}"


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
    return f"{where}: {expected(item)}" if where else expected(item)


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
