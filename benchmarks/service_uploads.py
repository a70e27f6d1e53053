"""Bad uploads to a running service: how each is refused, how long that takes, and its memory."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bad_input import inputs
from benchmarks.service_process import Kind, Server, running

MOST_MS = 200.0
MOST_MB = 100.0
BODY_TIMEOUT_S = 2.0
SLACK_S = 1.0
_FORM = "multipart/form-data; boundary=b"


@dataclass(frozen=True, slots=True)
class Sent:
    """One bad request, byte by byte.

    Args:
        head: Headers beyond the host.
        parts: What follows, with a pause after each.
        pause_s: Between parts.
        at_timeout: Whether only the clock of the service can end it.
    """

    head: Mapping[str, str]
    parts: tuple[bytes, ...]
    pause_s: float = 0.0
    at_timeout: bool = False


def uploads(kind: Kind, folder: Path, log: Path) -> dict[str, Any]:
    """Send every bad request twice; the second time counts, for the first loads a decoder.

    Args:
        kind: The service; it is given a short timeout for bodies.
        folder: Where it keeps its temporary files.
        log: Where its output goes.
    """
    spool = folder / "spool"
    spool.mkdir()
    own = {"SLICEWISE_BODY_TIMEOUT_S": str(BODY_TIMEOUT_S), "TMPDIR": str(spool)}
    kind = Kind(kind.name, kind.command, {**kind.environment, **own}, kind.ready, kind.path)
    rows = []
    with running(kind, log) as server:
        for name, sent in requests().items():
            _send(server, sent)
            rows.append({"name": name, **_measured(server, sent)})
        left = [path.name for path in spool.rglob("*")]  # while it still runs
    return {
        "requests": rows,
        "body_timeout_s": BODY_TIMEOUT_S,
        "left_on_disk": left,
        "passed": not left and all(row["passed"] for row in rows),
    }


def requests() -> dict[str, Sent]:
    """All bad requests by name: files that are none, and bodies that are none."""
    fields = b"".join(_part(f"f{i}", None, b"x") for i in range(200))
    files = {name: _form(content, filename=name) for name, content in inputs().items()}
    named = {
        "name with ..": "../../etc/passwd",
        "name with NUL": "a\0b.png",
        "name of 300 characters": 296 * "x" + ".png",
        "name in other letters": "\u8133_\u00e4.png",
        "name .html": "<b>page</b>.html",
    }
    return {
        **files,
        **{what: _form(b"no picture", filename=name) for what, name in named.items()},
        "wrong field": _form(b"x", field="picture"),
        "no file": Sent({"Content-Type": _FORM, "Content-Length": "7"}, (b"--b--\r\n",)),
        "200 fields": _whole(fields + b"--b--\r\n"),
        "no form": Sent({"Content-Type": "image/png", "Content-Length": "1"}, (b"x",)),
        "10 GB told, none sent": Sent(
            {"Content-Type": _FORM, "Content-Length": "10000000000"}, ()
        ),
        "slow body": Sent(
            {"Content-Type": _FORM, "Content-Length": "1000"},
            (_part("file", "a.png", b""), *([b"x"] * 400)),
            pause_s=0.1,
            at_timeout=True,
        ),
        "chunked without end": Sent(
            {"Content-Type": _FORM, "Transfer-Encoding": "chunked"},
            tuple(_chunk(p) for p in (_part("file", "a.png", b""), *([bytes(1000)] * 400))),
            pause_s=0.05,
            at_timeout=True,
        ),
    }  # fmt: skip


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The table as text."""
    for row in found["requests"]:
        mark = "" if row["passed"] else "  TOO MUCH"
        yield (
            f"{row['name']:<24} {row['status']} {row['milliseconds']:8.1f} ms "
            f"{row['grown_mb']:6.1f} MB  {row['detail'][:90]}{mark}"
        )
    yield f"left on disk: {', '.join(found['left_on_disk']) or 'nothing'}"


def _form(content: bytes, *, field: str = "file", filename: str = "a.png") -> Sent:
    return _whole(_part(field, filename, content) + b"\r\n--b--\r\n")


def _whole(body: bytes) -> Sent:
    return Sent({"Content-Type": _FORM, "Content-Length": str(len(body))}, (body,))


def _part(field: str, filename: str | None, content: bytes) -> bytes:
    name = "" if filename is None else f'; filename="{filename}"'
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"{name}\r\n\r\n'
    return head.encode() + content + (b"\r\n" if filename is None else b"")


def _chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def _measured(server: Server, sent: Sent) -> dict[str, Any]:
    for pid in server.pids():
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
    before = server.memory_mb(peak=True)
    status, problem, seconds = _send(server, sent)
    grown = server.memory_mb(peak=True) - before
    limit_s = BODY_TIMEOUT_S + SLACK_S if sent.at_timeout else MOST_MS / 1000
    cheap = seconds <= limit_s and grown <= MOST_MB
    told = {"type", "title", "status", "detail", "instance"} <= problem.keys()
    paths = (f"{Path.home()}/", str(Path.cwd()), tempfile.gettempdir())
    hidden = not any(path in json.dumps(problem) for path in paths)
    return {
        "status": status,
        "milliseconds": seconds * 1000,
        "grown_mb": grown,
        "detail": problem.get("detail", ""),
        "passed": 400 <= status < 500 and told and hidden and cheap,
    }  # fmt: skip


def _send(server: Server, sent: Sent) -> tuple[int, dict[str, Any], float]:
    """Status, problem document, and seconds from the first byte sent to the whole answer."""
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.head.items())
    opening = f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{head}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
        started = time.perf_counter()
        line.sendall(opening.encode())
        for part in sent.parts:
            if not _sent(line, part) or (sent.pause_s and _answered(line, sent.pause_s)):
                break
        answer = _all_of(line)
        seconds = time.perf_counter() - started
    top, _, body = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ", 2)[1]), _json(body), seconds


def _sent(line: socket.socket, part: bytes) -> bool:
    """False where the service has had enough."""
    try:
        line.sendall(part)
    except OSError:
        return False
    return True


def _answered(line: socket.socket, wait_s: float) -> bool:
    line.settimeout(wait_s)
    try:
        line.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    finally:
        line.settimeout(30)
    return True


def _all_of(line: socket.socket) -> bytes:
    """A whole answer; the service may keep the line open a while, to take what is still sent."""
    found = bytearray()
    try:
        while not _whole_answer(found) and (more := line.recv(65536)):
            found += more
    except ConnectionResetError:  # it closed before it took the whole body
        pass
    return bytes(found)


def _whole_answer(found: bytes) -> bool:
    head, end, body = found.partition(b"\r\n\r\n")
    sizes = [row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")]
    return bool(end and sizes) and len(body) >= int(sizes[0].split(b":")[1])


def _json(body: bytes) -> dict[str, Any]:
    """A problem document, sent whole or in chunks."""
    start, end = body.find(b"{"), body.rfind(b"}")
    found: dict[str, Any] = json.loads(body[start : end + 1]) if start >= 0 else {}
    return found
