"""The panels of the model and of an evaluation, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsers import faults_of, opened
from builders_evaluation import decided_table
from builders_service import data_root
from processes import serving
from slicewise.evaluation.report import Refusals, ReportContext, write_metrics
from slicewise.stats.bootstrap import Bootstrap

CARD = """# tiny 1

**Research use only.** <b id="planted">Not bold</b>

## Data

| source | slices |
|---|---|
| made | 7 |

## Limits

* Knows four classes,
  and no other.
"""


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    root = data_root(folder / "root")
    with serving(folder, SLICEWISE_DATA_ROOTS=str(root)) as (_, found):
        yield found


@pytest.fixture(scope="module")
def metrics(folder: Path) -> dict[str, Any]:
    """Of answers that were made up, some of them of slices that the model was trained on."""
    refusals = Refusals(("a.png", "b.png"), "compared with 9 training slices", allow_seen=True)
    context = ReportContext("test", "slicewise evaluate", None, "youden_j", refusals)
    few = Bootstrap(resamples=50)
    table = decided_table()
    return write_metrics(table, folder, context, neighbour="no", bootstrap=few, plots=False)


def choose(page: Any, name: str, content: str) -> None:
    page.set_input_files(
        "#metrics", [{"name": name, "mimeType": "application/json", "buffer": content.encode()}]
    )


def test_the_name_in_the_header_opens_the_model_with_its_rule_figures_and_card(page):
    page.route("**/card", lambda route: route.fulfill(content_type="text/markdown", body=CARD))
    page.click("#name")
    page.wait_for_selector("#models article")
    said = page.inner_text("#models")
    for words in ("tiny", "no answer for pictures in colour", "and no other.", "Licences"):
        assert words in said
    assert page.locator("#models th[scope=row]:has-text('made')").count() == 2  # and in the card
    assert page.locator("#planted").count() == 0  # the text of a card is never HTML
    assert faults_of(page) == []


def test_a_metrics_file_is_shown_and_sent_nowhere(browser, address, metrics):
    phone = {"viewport": {"width": 390, "height": 800}}
    with opened(browser, address, **phone) as page:
        page.wait_for_selector("#who:has-text('No key')")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        choose(page, "metrics.json", json.dumps({**metrics, "<img src=x>": {"deep": [1, None]}}))
        page.wait_for_selector("#measured article")
        said = page.inner_text("#measured")
        assert "2 of these slices were trained on" in said
        assert f"{metrics['accuracy']['value']:.3f}" in page.inner_text(".headlines li")
        texts = page.locator("#measured td.cell").all_inner_texts()
        cells = [int(text.split()[0]) for text in texts]
        assert sum(cells) == metrics["n"]
        right = sum(cells[:: len(metrics["per_class"]) + 1])
        assert right == round(metrics["accuracy"]["value"] * metrics["n"])
        page.click("#measured .tree > summary")
        page.click("#measured .tree .tree > summary:has-text('img src')")
        page.wait_for_selector("#measured .tree:has-text('deep (2)')")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert faults_of(page) == []
        for content, problem in (("{", "expected the JSON"), ('{"n": 3}', "another kind: groups")):
            choose(page, "other.json", content)
            page.wait_for_selector(f"#evaluateBad:has-text('{problem}')")
            assert page.locator("#measured article").count() == 0
        assert [one for one in asked if not one.startswith("GET ")] == []


def test_the_service_measures_a_manifest_and_says_what_is_not_allowed(page):
    page.click("#evaluation summary")
    page.fill("#evaluate [name=manifest]", "/etc/manifest.csv")
    page.click("#evaluate button:has-text('Measure')")
    page.wait_for_selector("#evaluateBad:has-text('SLICEWISE_DATA_ROOTS')")
    page.fill("#evaluate [name=manifest]", "manifest.csv")
    page.fill("#evaluate [name=resamples]", "50")
    page.click("#evaluate button:has-text('Measure')")
    page.wait_for_selector("#measured article")
    assert "slicewise evaluate manifest.csv --split test" in page.inner_text("#measured")
    assert page.inner_text("#evaluateBad") == ""
