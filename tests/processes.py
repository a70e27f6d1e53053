"""The service as a real process, on a port of its own."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from builders import write_tiny_bundle
from builders_service import KEY, until

COMMAND = [sys.executable, "-c", "from slicewise.cli.main import main; main()", "serve"]


class Certificate(NamedTuple):
    """Files in PEM; whoever trusts the first takes the server for this machine."""

    file: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """What a client has to know."""
        return ssl.create_default_context(cafile=self.file)


def certificate(folder: Path) -> Certificate:
    """A new one that signs itself, for this machine; a skip where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes a certificate")
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    written = ["-days", "2", "-keyout", made.key, "-out", made.file]
    subprocess.run(["openssl", "req", *kind, *names, *written], check=True, capture_output=True)
    return made


def environment(folder: Path, **more: str) -> dict[str, str]:
    bundle = folder / "bundle"
    if not bundle.exists():
        bundle.mkdir()
        write_tiny_bundle(bundle)
    return {
        **os.environ,
        "SLICEWISE_BUNDLE": str(bundle),
        "SLICEWISE_DATABASE_URL": f"sqlite:///{folder / 'audit.db'}",
        "SLICEWISE_AUDIT_KEY": KEY,
        "SLICEWISE_RATE_LIMIT": "0",
        **more,
    }


@contextmanager
def serving(
    folder: Path,
    *options: str,
    command: Sequence[str] = COMMAND,
    trusts: Certificate | None = None,
    **more: str,
) -> Iterator[tuple[subprocess.Popen, str]]:
    """A service on a port that it chose, and its address; killed where it has not ended.

    What is asked whether it is ready trusts the certificate alone that is given.
    """
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--port", "0", *options], stderr=out, env=environment(folder, **more)
        )
    try:
        until(lambda: said_address(log) or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()
        address = said_address(log).replace("//0.0.0.0:", "//127.0.0.1:")
        wait_until_ready(process, address, folder, trusts)
        yield process, address
    finally:
        process.kill()
        process.wait()


def said_address(log: Path) -> str | None:
    """Where a service listens, as it says in its log; None before it does."""
    said = re.search(r'"address": "([^"]+)"', log.read_text())
    return said[1] if said else None


def wait_until_ready(process, address, folder, trusts):
    ends = time.monotonic() + 60
    context = trusts.context() if trusts else True
    while True:
        try:
            if httpx.get(f"{address}/readyz", timeout=5, verify=context).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < ends
        time.sleep(0.05)
