"""The API reference: from this service alone, kept by browsers, with a policy of its own."""

from __future__ import annotations

import re

import pytest

PARTS = ["swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"]
OURS = {"'self'", "'none'", "data:", "blob:"}


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_a_reference_names_addresses_of_this_service_that_are_there(client, path):
    text = client.get(path).text
    assert "//" not in text
    given = re.findall(r"(?:src|href|spec-url)=\"([^\"]+)\"|url: '([^']+)'", text)
    named = {one or other for one, other in given} - {"data:,"}
    assert "openapi.json" in named
    assert len(named) >= 2
    for one in named:
        assert client.get(f"/{one}").status_code == 200


def directives(client, path: str) -> dict[str, set[str]]:
    policy = client.get(path).headers["content-security-policy"]
    return {name: set(values) for name, *values in (part.split() for part in policy.split("; "))}


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_a_reference_may_ask_no_other_host_and_run_no_foreign_script(client, path):
    said = directives(client, path)
    assert said["default-src"] == {"'none'"}
    assert not any("unsafe" in value for value in said["script-src"])
    inline = set.union(*said.values()) - OURS
    styles = {"'unsafe-inline'"} if path == "/redoc" else set()
    assert {value for value in inline if not value.startswith("'sha256-")} == styles
    assert said["style-src"] == (styles or {"'self'"})


@pytest.mark.parametrize("path", ["/v1/models", "/nothing", "/openapi.json", "/healthz"])
def test_what_is_no_page_may_load_nothing(client, path):
    said = directives(client, path)
    assert set(said) == {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert set.union(*said.values()) == {"'none'"}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_kept_by_the_browser_until_it_is_another(client, name):
    first = client.get(f"/docs/{name}")
    assert len(first.content) == int(first.headers["content-length"]) > 100_000
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-type"].startswith("text/")
    again = client.get(f"/docs/{name}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(f"/docs/{name}", headers={"If-None-Match": '"another"'})
    assert other.content == first.content
    head = client.head(f"/docs/{name}")
    assert head.headers["content-length"] == first.headers["content-length"]


@pytest.mark.parametrize("name", ["favicon.png", "none.js", "..%2Fcore.py", "__init__.py"])
def test_nothing_else_of_the_package_is_given(client, name):
    assert client.get(f"/docs/{name}").status_code in (404, 405)


def test_redoc_shows_no_logo_from_elsewhere(client):
    assert "cdn.redoc.ly" not in client.get("/docs/redoc.standalone.js").text


def test_probes_and_crawlers_get_the_head(client):
    for path in ("/docs", "/redoc", "/openapi.json"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_a_key_can_be_given_in_either_way(client):
    said = client.get("/openapi.json").json()
    schemes = said["components"]["securitySchemes"]
    kinds = [(one["type"], one.get("scheme", one.get("name"))) for one in schemes.values()]
    assert sorted(kinds) == [("apiKey", "X-API-Key"), ("http", "bearer")]
    assert said["paths"]["/v1/predict"]["post"]["security"] == [{name: []} for name in schemes]
    assert "security" not in said["paths"]["/healthz"]["get"]


def test_a_form_names_no_option_that_a_try_would_send_unasked(client):
    said = client.get("/openapi.json").json()["paths"]["/v1/explain"]["post"]
    schema = said["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert list(schema["properties"]) == ["file"]
    named = {one["name"] for one in said["parameters"]}
    assert {"tta", "threshold", "target"} <= named
