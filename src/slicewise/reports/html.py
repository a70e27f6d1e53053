"""HTML pages that look alike: one frame, one style, escaped, nothing fetched and no script."""

from __future__ import annotations

import jinja2

FRAME = "slicewise.reports.templates"


def templates(package: str) -> jinja2.Environment:
    """Templates of a package, which may extend `base.html.j2`; an unknown variable is an error.

    Args:
        package: Name of the package with the templates, such as `slicewise.explain`.
    """
    places = [jinja2.PackageLoader(name, ".") for name in (package, FRAME)]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(places),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
