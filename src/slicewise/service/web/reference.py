"""The OpenAPI description as a reader wants it: routes, what they take, what they answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Described = Mapping[str, Any]
_CHOICE = re.compile(r"\^\(([\w|]+)\)\$")
_PLACES = {"multipart/form-data": "form", "application/json": "JSON"}


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter, or one field of a body."""

    name: str
    kind: str
    place: str
    required: bool
    text: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One route."""

    method: str
    path: str
    summary: str
    text: str
    fields: list[Field]
    statuses: list[tuple[str, str]]
    example: str | None


def operations(description: Described) -> dict[str, list[Operation]]:
    """Every route of an OpenAPI description by tag, in its order.

    Args:
        description: As `/openapi.json` has it.
    """
    found: dict[str, list[Operation]] = {}
    for path, methods in description["paths"].items():
        for method, said in methods.items():
            tag = (said.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append(_operation(method, path, said, description))
    return found


def _operation(method: str, path: str, said: Described, whole: Described) -> Operation:
    return Operation(
        method=method.upper(),
        path=path,
        summary=said.get("summary", ""),
        text=_plain(said.get("description", "")),
        fields=_merged([*map(_parameter, said.get("parameters", ())), *_body(said, whole)]),
        statuses=[(code, one["description"]) for code, one in sorted(said["responses"].items())],
        example=_example(said, whole),
    )


def _parameter(said: Described) -> Field:
    schema = said["schema"]
    text = _plain(said.get("description") or schema.get("description", ""))
    kind, needed = _kind(schema), bool(said.get("required"))
    return Field(said["name"], kind, said["in"], needed, text, _allowed(schema))


def _body(said: Described, whole: Described) -> list[Field]:
    fields = []
    for media, content in said.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"], whole)
        needed = schema.get("required", ())
        fields += [
            Field(
                name,
                _kind(of),
                _PLACES.get(media, media),
                name in needed,
                _plain(of.get("description", "")),
                _allowed(of),
            )
            for name, of in schema.get("properties", {}).items()
        ]
    return fields


def _merged(fields: list[Field]) -> list[Field]:
    """One row for what may come in the query or in the form."""
    found: dict[str, Field] = {}
    for field in fields:
        known = found.setdefault(field.name, field)
        if known.place != field.place:
            found[field.name] = replace(known, place=f"{known.place} or {field.place}")
    return list(found.values())


def _kind(schema: Described) -> str:
    if "anyOf" in schema:
        kinds = [_kind(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(kinds)
    if schema.get("type") == "array":
        return f"{_kind(schema['items'])}, several"
    if schema.get("format") == "binary":
        return "file"
    return str(schema.get("type", "object"))


def _allowed(schema: Described) -> str:
    """Which values are taken, and what is taken where none is given."""
    parts = []
    for one in (schema, *schema.get("anyOf", ())):
        low, high = one.get("minimum"), one.get("maximum")
        if low is not None and high is not None:
            parts.append(f"{_number(low)} to {_number(high)}")
        elif low is not None or high is not None:
            parts.append(f"at least {_number(low)}" if high is None else f"at most {_number(high)}")
        if "enum" in one:
            parts.append(", ".join(map(str, one["enum"])))
        if choice := _CHOICE.fullmatch(one.get("pattern", "")):
            parts.append(choice[1].replace("|", ", "))
        if "maxLength" in one:
            parts.append(f"at most {one['maxLength']:,} characters")
    default = schema.get("default")
    if default is not None:
        parts.append(f"default {str(default).lower() if isinstance(default, bool) else default}")
    return "; ".join(parts)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,}"


def _plain(text: str) -> str:
    return text.replace("`", "")


def _example(said: Described, whole: Described) -> str | None:
    """The first example of what it answers."""
    for code, response in said["responses"].items():
        for content in response.get("content", {}).values():
            if code.startswith("2"):
                found = _examples(content.get("schema", {}), whole)
                if found:
                    return json.dumps(found[0], indent=2, ensure_ascii=False)
    return None


def _examples(schema: Described, whole: Described) -> list[Any]:
    own = _resolved(schema, whole)
    if own.get("examples"):
        return list(own["examples"])
    return [found for one in own.get("anyOf", ()) for found in _examples(one, whole)]


def _resolved(schema: Described, whole: Described) -> Described:
    if "$ref" not in schema:
        return schema
    found: Described = whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return found
