"""Mistakes in a configuration are named with the nearest known key, wherever they stand."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

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
    assert told[0] == "one.height: expected a whole number; got 'tall'"


class Kinds(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    share: float = Field(0.5, ge=0, lt=1)
    choice: Literal["a", "b"] = "a"
    on: bool = True
    many: tuple[Inner, ...] = Field((Inner(),), min_length=1)
    one: Inner = Inner()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ["name: expected a value; got none"]),
        ({"name": 5}, ["name: expected text; got 5 (quote it: '5')"]),
        ({"name": None}, ["name: expected text; got none"]),
        ({"name": ["x"]}, ["name: expected text; got a list"]),
        ({"name": "x", "share": "much"}, ["share: expected a number; got 'much'"]),
        ({"name": "x", "share": 1}, ["share: expected less than 1; got 1"]),
        ({"name": "x", "share": -0.5}, ["share: expected at least 0; got -0.5"]),
        ({"name": "x", "choice": "c"}, ["choice: expected one of 'a' or 'b'; got 'c'"]),
        ({"name": "x", "on": "so"}, ["on: expected true or false; got 'so'"]),
        ({"name": "x", "one": 3}, ["one: expected names with values; got 3"]),
        ({"name": "x", "many": {}}, ["many: expected a list; got names with values"]),
        ({"name": "x", "many": []}, ["many: expected at least 1 in the list; got 0"]),
        (
            {"name": "x", "many": [{"wide": 1}]},
            ["unknown key many.0.wide; nearest known key: many.0.width"],
        ),
    ],
)
def test_each_kind_of_mistake_is_told_in_plain_words_and_once(given, told):
    with pytest.raises(ValidationError) as caught:
        Kinds.model_validate(given)
    assert problems(caught.value, Kinds) == told


def test_there_always_is_a_nearest_name():
    assert nearest("zzz", ["alpha"]) == "alpha"
    assert nearest("yuden", ["cost", "youden_j"]) == "youden_j"
