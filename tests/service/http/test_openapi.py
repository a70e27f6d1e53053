"""The description of the API is valid, and the API does what it says, whatever is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import jsonschema_rs
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    positive_data_acceptance,
)

from builders_service import png, problem, running, service_settings
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.service.app import create_app
from slicewise.service.settings import Settings

UPLOADS = [png(0), png(2), b"", b"no picture", b"PK\x05\x06" + b"\0" * 18]
NOT_SAID = [
    positive_data_acceptance,  # no schema can say what a file must hold
    ignored_auth,  # on loopback nobody needs a key; the next test asks where they do
]
schemathesis.openapi.format("binary", st.sampled_from(UPLOADS))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that listens on a port of its own."""
    folder = tmp_path_factory.mktemp("service")
    app = create_app(service_settings(folder, data_roots=(folder / "bundle",)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def described(address: str):
    return schemathesis.openapi.from_url(f"{address}/openapi.json")


def test_the_description_is_valid_and_every_example_fits(client):
    said = client.get("/openapi.json").json()
    assert said["openapi"].startswith("3.1")
    for name, schema in said["components"]["schemas"].items():
        whole = {**schema, "components": said["components"]}
        check = jsonschema_rs.Draft202012Validator(whole)
        for example in schema.get("examples", ()):
            assert check.is_valid(example), (name, list(map(str, check.iter_errors(example))))


def test_every_json_answer_has_an_example(client):
    said = client.get("/openapi.json").json()
    without = []
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            for code, answer in operation["responses"].items():
                schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
                known = said["components"]["schemas"]
                schemas = [
                    known[one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one
                    for one in schema.get("anyOf", [schema] if schema else [])
                ]
                if code.startswith("2") and not all(one.get("examples") for one in schemas):
                    without.append(f"{method} {path}")
    assert not without


def test_every_route_says_how_it_fails(client):
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, said in methods.items():
            if path != "/healthz":
                failing = {code for code in said["responses"] if code >= "400"}
                assert "503" in failing, (method, path)
                for code in failing:
                    assert list(said["responses"][code]["content"]) == ["application/problem+json"]


def test_every_route_but_the_probes_asks_for_a_key_where_there_are_keys(tmp_path):
    given = service_settings(tmp_path)
    keys = KeyStore.open(given.audit_log)
    keys.create("somebody", Role.PREDICT)
    keys.close()
    with running(given) as client:
        for path, method in _operations():
            if path not in {"/healthz", "/readyz", "/health", "/api/health"}:
                response = client.request(method, path.replace("{prediction_id}", "0" * 32))
                problem(response, 401)
                assert response.headers["www-authenticate"] == "Bearer"


def _operations() -> list[tuple[str, str]]:
    paths = create_app(Settings()).openapi()["paths"]
    return [(path, method) for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=["as described", "not as described"])
@pytest.mark.parametrize(("path", "method"), _operations())
def test_the_service_does_what_it_says(described, path, method, mode):
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=NOT_SAID, timeout=30)

    try:
        run()
    except Unsatisfiable:
        pytest.skip("nothing can be sent that is not as described")
