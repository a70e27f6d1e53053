"""Pages share a frame and a style, escape what they show and refuse what they do not know."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

import slicewise
from slicewise.reports.html import templates

PAGES = {
    "slicewise.evaluation.sections": "page.html.j2",
    "slicewise.output": "report.html.j2",
    "slicewise.data.quality": "audit.html.j2",
}


@pytest.fixture
def shown() -> str:
    environment = templates("slicewise.output")
    page = environment.from_string(
        "{% extends 'base.html.j2' %}"
        "{% macro bold(text) %}<b>{{ text }}</b>{% endmacro %}"
        "{% block title %}A page{% endblock %}"
        "{% block style %}.own { color: red; }{% endblock %}"
        "{% block content %}{{ bold(name) }}{% endblock %}"
    )
    return page.render(name="<script>alert(1)</script>")


def test_a_page_stands_in_the_frame(shown: str) -> None:
    assert shown.startswith("<!DOCTYPE html>")
    assert "<title>A page</title>" in shown
    assert "width=device-width" in shown
    assert shown.index("max-width: 1180px") < shown.index(".own { color: red; }")


def test_what_is_shown_is_escaped_in_macros_too(shown: str) -> None:
    assert "<script>" not in shown
    assert "<b>&lt;script&gt;alert(1)&lt;/script&gt;</b>" in shown


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        templates("slicewise.output").from_string("{{ missing }}").render()


def test_the_style_is_escaped_nowhere_and_fetches_nothing(shown: str) -> None:
    assert '"Segoe UI"' in shown
    assert "url(" not in shown
    assert "@import" not in shown


@pytest.mark.parametrize(("package", "name"), PAGES.items())
def test_every_page_stands_in_the_frame(package: str, name: str) -> None:
    source, _, _ = templates(package).loader.get_source(templates(package), name)
    assert source.startswith("{% extends 'base.html.j2' %}")


def test_no_page_has_a_frame_of_its_own() -> None:
    found = [
        p for p in Path(slicewise.__file__).parent.rglob("*.html.j2") if "<html" in p.read_text()
    ]
    assert [path.name for path in found] == ["base.html.j2"]
