from __future__ import annotations

import re
from contextlib import closing

from builders_service import running, service_settings
from slicewise.audit_log.keys import KeyStore, Role


def test_the_page_has_a_form_and_says_what_it_is_not(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "Not a medical device" in page.text
    assert 'action="/v1/explain"' in page.text
    assert "tiny 0.1.0" in page.text


def test_the_page_says_what_it_reads_and_where_a_key_is_wanted(tmp_path):
    with running(service_settings(tmp_path)) as client:
        page = client.get("/").text
        assert "PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI or a zip of a series" in page
        assert "wants a key" not in page
    with closing(KeyStore.open(service_settings(tmp_path).audit_log)) as keys:
        keys.create("one", Role.PREDICT)
    with running(service_settings(tmp_path)) as client:
        assert "wants a key with every request" in client.get("/").text


def test_the_reference_shows_every_route_and_fetches_nothing(client):
    text = client.get("/docs").text
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    assert "<script" not in text
    assert "query or form" in text
    assert "0.05 to 1; default 0.6" in text


def test_a_probe_gets_the_head_of_the_page(client):
    for path in ("/", "/docs", "/openapi.json"):
        assert client.head(path).status_code == 200
