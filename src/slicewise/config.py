"""What is wrong with a configuration, in words; for an unknown name, the nearest known one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every mistake that pydantic found in a configuration, each in one sentence."""
    return [_problem(dict(item), model) for item in error.errors(include_url=False)]


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that a wrong one resembles most; at least one is known."""
    return get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def near(name: str, known: Iterable[str]) -> str:
    """` (nearest: NAME)` where a known name resembles a wrong one; nothing where none does."""
    return "".join(f" (nearest: {one})" for one in get_close_matches(name, list(known), n=1))


def _problem(item: dict[str, Any], model: type[BaseModel]) -> str:
    location = item["loc"]
    where = ".".join(map(str, location))
    if item["type"] == "extra_forbidden":
        parents = location[:-1]
        known = nearest(str(location[-1]), _keys(parents, model))
        return f"unknown key {where}; nearest known key: {'.'.join(map(str, [*parents, known]))}"
    got = item.get("input")
    shown = f" (got {got!r})" if isinstance(got, str | int | float | bool) else ""
    message = f"{item['msg']}{shown}".removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


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
