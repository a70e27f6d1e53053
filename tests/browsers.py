"""A tab of a real browser with the page of the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders_service import picture_of

AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"

WAIT_MS = 60_000


@contextmanager
def opened(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """A tab of its own; at its end its console has told of no fault."""
    page = browser.new_page(**options)
    page.set_default_timeout(WAIT_MS)
    faults: list[str] = []

    def heard(said: Any) -> None:
        """What a browser says of an answer that is no success is told on the page as well."""
        if said.type == "error" and "Failed to load resource" not in said.text:
            faults.append(said.text)

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", heard)
    page.goto(address)
    yield page
    page.close()
    assert not faults


def give(page: Any, **contents: bytes) -> None:
    """Choose files that make one job, and wait for its end; a double underscore is a dot."""
    before = page.locator("#visit > li").count()
    page.set_input_files(
        "#files",
        [
            {"name": name.replace("__", "."), "mimeType": "application/octet-stream", "buffer": one}
            for name, one in contents.items()
        ],
    )
    wait_for_end(page, before + 1)


def wait_for_end(page: Any, jobs: int) -> None:
    """Wait until there are so many jobs, and each is answered or told why not."""
    page.wait_for_function(
        "(jobs) => { const all = [...document.querySelectorAll('#visit .state')]; "
        "return all.length === jobs && "
        "all.every((one) => ['Done', 'Not answered'].includes(one.textContent)); }",
        arg=jobs,
    )


def pixels(page: Any) -> np.ndarray:
    """What the canvas shows, RGBA."""
    address = page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => "
        "done(document.getElementById('canvas').toDataURL()))))"
    )
    return np.asarray(picture_of(address.partition(",")[2]).convert("RGBA"))


def faults_of(page: Any) -> list[str]:
    """What axe finds serious or worse on the page as it is; a skip where axe is not installed."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed (make page)")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@contextmanager
def held(page: Any, route: str) -> Iterator[None]:
    """Requests to a route are not sent for a while."""
    page.route(route, lambda routed: None)
    yield
    page.unroute_all(behavior="ignoreErrors")
