"""Each way of running that the documents name, as a real process that is asked over sockets."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from builders_records import kept_in
from builders_service import files, png, problem, service_settings, until
from postgres import postgres, postgres_url
from processes import COMMAND, certificate, serving
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.audit_log.store import AuditStore

__all__ = ["postgres", "postgres_url"]

WORLD = "0.0.0.0"  # noqa: S104
OTHER = "127.0.0.2"
"""Where somebody calls from who is not the proxy."""


def key(folder: Path, role: Role) -> dict[str, str]:
    """The header with a new key of a service whose database is in a folder."""
    keys = KeyStore.open(service_settings(folder).audit_log)
    made = keys.create(role.value, role)
    keys.close()
    return {"Authorization": f"Bearer {made}"}


def end(process: subprocess.Popen) -> int:
    """Its exit code after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    return process.wait(30)


def answers(post: Callable[..., httpx.Response], address: str, count: int, **how) -> list[dict]:
    """What a service says of so many slices, each on a connection of its own."""
    sent = [files(png(number % 4, seed=number)) for number in range(count)]
    came = [post(f"{address}/v1/predict", files=one, timeout=30, **how) for one in sent]
    assert [one.status_code for one in came] == [200] * count, came[0].text
    return [one.json() for one in came]


def scraped(text: str) -> dict[str, float]:
    """The numbers without labels, and the sum of those that have some, by name."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_over_tls_it_answers_everybody_with_a_key_and_is_scraped(tmp_path, workers):
    tls = certificate(tmp_path)
    caller, scraper = key(tmp_path, Role.PREDICT), key(tmp_path, Role.REVIEW)
    named = {
        "SLICEWISE_HOST": WORLD,
        "SLICEWISE_TLS_CERTIFICATE": str(tls.file),
        "SLICEWISE_TLS_KEY": str(tls.key),
    }
    with serving(tmp_path, "--workers", workers, trusts=tls, **named) as (process, address):
        assert address.startswith("https://")
        how = {"headers": caller, "verify": tls.context()}
        said = answers(httpx.post, address, 6, **how)
        drawn = httpx.post(f"{address}/v1/explain", files=files(png(0)), timeout=30, **how)
        assert len(drawn.json()["predictions"][0]["heatmap"]) > 1000
        assert "max-age" in drawn.headers["strict-transport-security"]
        assert httpx.get(f"{address}/v1/models", verify=tls.context()).status_code == 401
        assert httpx.get(f"{address}/metrics", **how).status_code == 403
        scrape = httpx.get(f"{address}/metrics", headers=scraper, verify=tls.context())
        with httpx.Client(verify=tls.context(), headers=caller) as waiting:
            waiting.get(f"{address}/v1/models")  # a connection that is kept open, and not looked at
            assert end(process) == 0
    assert '"level": "error"' not in (tmp_path / "log").read_text()
    assert len({one["id"] for one in said}) == 6
    assert scrape.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = scraped(scrape.text)
    assert found["slicewise_decisions_total"] == 7
    assert found["slicewise_stage_seconds_count"] >= 7 * 4
    assert ("process_resident_memory_bytes" in found) == (workers == "1")


def test_behind_a_declared_proxy_only_the_proxy_is_believed(tmp_path):
    caller = key(tmp_path, Role.PREDICT)
    through = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    elsewhere = httpx.HTTPTransport(local_address=OTHER)
    with serving(tmp_path, SLICEWISE_TRUSTED_PROXY="127.0.0.1") as (process, address):
        named = {**through, **caller, "X-Request-ID": "made-by-the-proxy"}
        answers(httpx.post, address, 1, headers=named)
        models = f"{address}/v1/models"
        assert httpx.get(models, headers=named).headers["x-request-id"] == "made-by-the-proxy"
        problem(httpx.get(models, headers=caller), 403)
        assert httpx.get(f"{address}/healthz").status_code == 200
        with httpx.Client(transport=elsewhere, headers={**through, **caller}) as other:
            try:
                past = other.get(models)
            except httpx.ConnectError:  # only Linux has all of 127.0.0.0/8
                past = None
        if past is not None:
            problem(past, 403)
        wrong = {**through, "X-API-Key": "sw_wrong"}
        with httpx.Client() as many:
            statuses = [many.get(models, headers=wrong).status_code for _ in range(32)]
            other_caller = {**wrong, "X-Forwarded-For": "203.0.113.8"}
            assert many.get(models, headers=other_caller).status_code == 401
        assert (statuses[0], statuses[-1]) == (401, 429)
        assert end(process) == 0


def test_with_postgresql_every_worker_records_in_one_chain(tmp_path, postgres_url):
    named = {"SLICEWISE_DATABASE_URL": postgres_url, "SLICEWISE_WORKERS": "2"}
    with serving(tmp_path, **named) as (process, address):
        said = answers(httpx.post, address, 4)
        for one in said:  # whichever worker is asked
            kept = httpx.get(f"{address}/v1/predictions/{one['id']}").json()
            assert kept["label"] == one["label"]
        assert end(process) == 0
    store = AuditStore.open(service_settings(tmp_path, database_url=postgres_url).audit_log)
    assert [row.id for row in kept_in(store)] == [one["id"] for one in said]
    store.close()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "share"),
    [
        ("localhost", "0"),
        pytest.param("::1", "1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")),
    ],
)
def test_a_second_bundle_answers_beside_or_instead(tmp_path, rival, host, share):
    named = {"SLICEWISE_CHALLENGER": str(rival), "SLICEWISE_CHALLENGER_SHARE": share}
    with serving(tmp_path, "--host", host, **named) as (process, address):
        assert address.startswith("http://[::1]:" if host == "::1" else "http://localhost:")
        (said,) = answers(httpx.post, address, 1)
        store = AuditStore.open(service_settings(tmp_path).audit_log)
        until(lambda: len(kept_in(store)) == 2 - int(share))
        arms = {row.arm: row.bundle[0] for row in kept_in(store)}
        store.close()
        assert end(process) == 0
    assert said["bundle"]["name"] == ("rival" if share == "1" else "tiny")
    beside = {"main": "tiny", "shadow": "rival"}
    assert arms == ({"challenger": "rival"} if share == "1" else beside)


def test_with_nothing_set_the_bundled_model_answers_and_records_where_it_was_started(tmp_path):
    bare = ["env", "-C", str(tmp_path), *(f"-u{name}" for name in NAMED), *COMMAND]
    with serving(tmp_path, command=bare) as (process, address):
        (said,) = answers(httpx.post, address, 1)
        assert httpx.get(f"{address}/").status_code == 200
        assert end(process) == 0
    assert said["bundle"]["name"] == "four_class"
    assert {"slicewise.db", "slicewise.db.key"} <= {path.name for path in tmp_path.iterdir()}


NAMED = [f"SLICEWISE_{name}" for name in ("BUNDLE", "DATABASE_URL", "AUDIT_KEY", "RATE_LIMIT")]
