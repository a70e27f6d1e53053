from __future__ import annotations

import posixpath
import re
from contextlib import closing
from pathlib import Path

import pytest

import slicewise.service.web.page
from builders_service import running, service_settings
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.inference.decision import Reason
from slicewise.service.app import ROUTES as MODULES
from slicewise.service.settings import ROUTES

PAGE = Path(slicewise.service.web.page.__file__).parent


def test_the_page_says_what_it_is_not_and_loads_only_what_the_service_has(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "Not a medical device" in page.text
    for address in re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text):
        assert address == "data:," or client.get(f"/{address}").status_code == 200


def test_no_policy_of_the_page_is_unsafe(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "style=" not in client.get("/").text  # the policy would drop it


def test_every_script_loads_scripts_that_are_there(client):
    scripts = {one.relative_to(PAGE).as_posix() for one in PAGE.rglob("*.js")}
    assert len(scripts) > 15
    for name in scripts:
        answer = client.get(f"/page/{name}")
        assert answer.headers["content-type"].startswith("text/javascript")
        found = re.findall(r"from \"(\.[^\"]+)\"", answer.text)
        assert {
            posixpath.normpath(posixpath.join(posixpath.dirname(name), one)) for one in found
        } <= scripts


def test_it_says_whether_there_are_stored_samples(tmp_path):
    with running(service_settings(tmp_path, data_roots=(tmp_path,))) as client:
        said = client.get("/", headers={"Accept": "application/json"})
    assert said.json()["stored_samples"] is True
    assert str(tmp_path) not in said.text


@pytest.mark.parametrize("name", ["index.html", "__init__.py", "none.js", "..%2Fapp.py"])
def test_other_files_are_not_given(client, name):
    assert client.get(f"/page/{name}").status_code in (404, 405)


def test_who_asks_for_json_gets_what_the_service_is(client):
    said = client.get("/", headers={"Accept": "application/json"}).json()
    assert said["bundle"]["name"] == "tiny"
    assert said["key_required"] is False
    assert said["routes"]["POST /v1/read"]
    assert said["stored_samples"] is False
    assert set(said["reasons"]) == set(Reason)
    browser = client.get("/", headers={"Accept": "text/html,application/json;q=0.9"})
    assert browser.headers["content-type"].startswith("text/html")


def test_it_says_where_a_key_is_wanted_and_whose_it_is(tmp_path):
    with closing(KeyStore.open(service_settings(tmp_path).audit_log)) as keys:
        secret = keys.create("one", Role.PREDICT)
    with running(service_settings(tmp_path)) as client:
        assert client.get("/", headers={"Accept": "application/json"}).json()["key_required"]
        assert client.get("/v1/caller").status_code == 401
        said = client.get("/v1/caller", headers={"X-API-Key": secret}).json()
        assert (said["name"], said["role"]) == ("one", "predict")


def test_every_reason_has_a_meaning_for_the_reader():
    words = (PAGE / "words.js").read_text()
    for reason in Reason:
        assert re.search(rf"^  {reason.value}:", words, re.MULTILINE), reason


def test_it_is_known_how_paths_of_routes_begin():
    paths = [route.path for module in MODULES for route in module.router.routes]
    assert {path.split("/")[1] for path in paths} == {*ROUTES, ""}


def test_a_probe_gets_the_head_of_the_page(client):
    for path in ("/", "/page/main.js"):
        assert client.head(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/base.css"])
def test_a_file_comes_packed_to_who_takes_it_so(client, path):
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.content == plain.content
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 1.5
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept, Accept-Encoding"
    known = client.get(path, headers={"If-None-Match": plain.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
