"""Mistakes in a configuration are named with the nearest known key, wherever they stand."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from slicewise.config import nearest, problems


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    height: int = 1
    width: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    one: Inner = Inner()
    perhaps: Inner | None = None
    many: tuple[Inner, ...] = ()

    @model_validator(mode="after")
    def _not_flat(self) -> Outer:
        if self.one.height == 0:
            raise ValueError("one.height: expected more than none")
        return self


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"on": {}}, ["unknown key on; nearest known key: one"]),
        ({"one": {"hight": 2}}, ["unknown key one.hight; nearest known key: one.height"]),
        ({"perhaps": {"with": 2}}, ["unknown key perhaps.with; nearest known key: perhaps.width"]),
        (
            {"many": [{}, {"with": 2}]},
            ["unknown key many.1.with; nearest known key: many.1.width"],
        ),
        ({"one": {"height": 0}}, ["one.height: expected more than none"]),
    ],
    ids=["top", "section", "optional", "list", "own words"],
)
def test_what_is_wrong_is_told(given, told):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert problems(caught.value, Outer) == told


def test_every_mistake_is_told_with_what_was_got():
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"one": {"height": "tall", "wide": 1}})
    told = problems(caught.value, Outer)
    assert len(told) == 2
    assert told[0].startswith("one.height: ")
    assert told[0].endswith("(got 'tall')")


def test_there_always_is_a_nearest_name():
    assert nearest("zzz", ["alpha"]) == "alpha"
    assert nearest("yuden", ["cost", "youden_j"]) == "youden_j"
