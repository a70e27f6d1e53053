"""The description of the API is valid, and the API does what it says, whatever is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    positive_data_acceptance,
)

from builders_imaging import zip_bytes
from builders_service import files, png, problem, running, series, service_settings
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.service.app import create_app
from slicewise.service.http.examples import OF_MODELS
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


def strict(schema: Any) -> Any:
    """A copy of a schema in which no object may have keys that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: strict(value) for name, value in schema.items()}
    if copy.get("type") == "object" and isinstance(copy.get("properties"), dict):
        copy["additionalProperties"] = False
    return copy


def wrong_in(description: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """What a value has or lacks against the strict copy of a schema."""
    whole = strict({**schema, "components": description["components"]})
    return list(map(str, jsonschema_rs.Draft202012Validator(whole).iter_errors(value)))


def test_the_description_is_valid_and_every_example_fits(client):
    description = client.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    shown = 0
    for name, schema in described_schemas(description):
        for example in schema.get("examples", ()):
            assert not wrong_in(description, schema, example), name
            shown += 1
    assert shown > 20


def described_schemas(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Schemas of answers, and of bodies that are sent."""
    yield from description["components"]["schemas"].items()
    for path, methods in description["paths"].items():
        for operation in methods.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield path, content["schema"]


def test_an_example_with_a_key_that_never_comes_does_not_fit(client):
    description = client.get("/openapi.json").json()
    schema = description["components"]["schemas"]["StudyPredictionOut"]
    (example,) = schema["examples"]
    assert wrong_in(description, schema, {**example, "tumor_flag": True})
    assert wrong_in(description, schema, {**example, "study": {**example["study"], "more": 1}})


def test_every_example_value_is_of_a_model_that_is_described(client):
    known = client.get("/openapi.json").json()["components"]["schemas"]
    assert set(OF_MODELS) <= set(known)


@pytest.mark.parametrize(
    ("method", "path", "how"),
    [
        ("POST", "/v1/predict", {"files": files(png(0))}),
        ("POST", "/v1/predict", {"files": {"file": ("scan.zip", zip_bytes(series(6)))}}),
        ("POST", "/v1/predict/batch", {"files": files(png(0), b"nothing")}),
        ("POST", "/v1/explain", {"files": files(png(0))}),
        ("GET", "/v1/models", {}),
        ("GET", "/model/info", {}),
        ("GET", "/healthz", {}),
        ("GET", "/readyz", {}),
        ("GET", "/health", {}),
        ("GET", "/api/random-test", {}),
        ("GET", "/api/random-test-detailed", {"params": {"label": "glioma"}}),
        ("POST", "/api/analyze-detailed", {"files": files(png(0))}),
        ("POST", "/api/upload", {"files": files(png(0))}),
        ("POST", "/predict", {"files": files(png(0)), "params": {"save_cam": True}}),
        ("POST", "/api/predict", {"files": files(png(0))}),
        ("POST", "/classify_slice", {"files": files(png(0))}),
        ("POST", "/classify_batch", {"files": files(png(0), b"nothing")}),
        ("POST", "/classify_with_gradcam", {"files": files(png(0))}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_real_answers_have_no_other_keys_than_described(client, method, path, how):
    description = client.get("/openapi.json").json()
    schema = description["paths"][path][method.lower()]["responses"]["200"]["content"]
    answer = client.request(method, path, **how)
    assert answer.status_code == 200
    assert not wrong_in(description, schema["application/json"]["schema"], answer.json())


def test_a_real_record_has_no_other_keys_than_described(client):
    id_ = client.post("/v1/predict", files=files(png(0))).json()["id"]
    client.post(f"/v1/predictions/{id_}/feedback", json={"agree": True})
    description = client.get("/openapi.json").json()
    schema = description["components"]["schemas"]["RecordOut"]
    assert not wrong_in(description, schema, client.get(f"/v1/predictions/{id_}").json())


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


def _lost_in_a_form(case: schemathesis.Case) -> bool:
    """A form has no lists: one of one item is sent as the item, an empty one is not sent."""
    form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    fields = case.body.values() if form else ()
    return any(isinstance(field, list) and len(field) < 2 for field in fields)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=["as described", "not as described"])
@pytest.mark.parametrize(("path", "method"), _operations())
def test_the_service_does_what_it_says(described, path, method, mode):
    not_done = [not_a_server_error] if path == "/api/train" else []  # which always answers 501

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
        assume(not _lost_in_a_form(case))
        case.call_and_validate(excluded_checks=[*NOT_SAID, *not_done], timeout=30)

    try:
        run()
    except Unsatisfiable:
        pytest.skip("nothing can be sent that is not as described")
