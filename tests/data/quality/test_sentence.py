"""A finding is written to JSON by its fields."""

from __future__ import annotations

from slicewise.data.quality.sentence import Sentence


def test_a_sentence_is_its_fields():
    written = {"severity": "note", "topic": "copies", "text": "None."}
    assert Sentence("note", "copies", "None.").as_json() == written
