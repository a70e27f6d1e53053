"""Bodies of requests: ended where too large or too slow, and never written to disk."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from email.message import Message as MailHeader
from email.utils import collapse_rfc2231_value

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicewise.service.http.problems import only, problem_response
from slicewise.service.monitoring.logs import request_id_of
from slicewise.service.prediction.admission import Admission
from slicewise.service.prediction.uploads import Upload
from slicewise.service.settings import Settings
from slicewise.text import printable

FILE_FIELDS = ("file", "files", "image")
"""Form fields that files come in; `image` is what older clients call it."""

MOST_FIELDS = 16
MOST_FIELD_BYTES = 1024
LONGEST_NAME = 100

MOST_OTHER_BYTES = 256 * 1024
"""Of a body without files: it is parsed as one piece on the event loop."""

_BROKEN = {
    "Missing boundary": "a boundary in Content-Type; got none",
    "Too many files": "at most {most:,} files; got more",
    "Too many fields": f"at most {MOST_FIELDS} fields beside the files; got more",
    "Part exceeded": f"at most {MOST_FIELD_BYTES:,} bytes in a field; got more",
    "The Content-Disposition": "a Content-Disposition with a name in every part; got one without",
    "": "multipart/form-data, every part between its boundaries; got something else",
}
"""What was expected and got, by the beginning of what Starlette says of a form."""


class BodyLimit:
    """Ends a body at a number of bytes, and at a time since the request began.

    A body that is no multipart form may have `MOST_OTHER_BYTES` at most.

    Where an answer stands before the body was read, the rest is read and dropped, as much again as
    the limit: a client that is still sending would see a broken connection and not the answer.
    What goes on after that is cut off, and so is, at once, a body that is declared longer.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._most = settings.max_upload_bytes
        self._seconds = settings.body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = self._most if has_files(headers) else min(self._most, MOST_OTHER_BYTES)
        body = _Body(receive, most, self._seconds, waits="expect" in headers)

        length = headers.get("content-length", "0")
        declared = int(length) if length.isdecimal() else 0
        unclear = "content-length" in headers and "transfer-encoding" in headers

        async def answer(message: Message) -> None:
            hopeless = declared > 2 * most or unclear
            if message["type"] == "http.response.start" and (hopeless or not await body.is_read()):
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        wrong: tuple[int, str] | None = None
        if unclear:  # a proxy may have ended it elsewhere (RFC 9112 section 6.1)
            wrong = 400, "expected a body with its length or in chunks, got both"
        elif headers.get("content-encoding", "identity").lower() != "identity":
            wrong = 415, "expected a body without Content-Encoding, got a compressed one"
        elif declared > most:
            wrong = 413, body.too_large
        if wrong is None:
            await self._app(scope, body.receive, answer)
        else:
            await problem_response(*wrong, request_id_of(scope))(scope, receive, answer)


def has_files(headers: Headers) -> bool:
    return kind_of(headers) == "multipart/form-data"


def kind_of(headers: Headers) -> str:
    """The type of a body, without its parameters, as it may be shown."""
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    return printable(kind[:LONGEST_NAME]) or "no Content-Type"


class _Body:
    """What is read of a body; one that `waits` is sent only when asked for (100-continue)."""

    def __init__(self, receive: Receive, most: int, seconds: float, *, waits: bool) -> None:
        self._receive = receive
        self._most = most
        self._seconds = seconds
        self._ends_at = asyncio.get_running_loop().time() + seconds
        self._waits = waits
        self._read = 0
        self._over = self._late = False
        self.too_large = f"expected a body of at most {most:,} bytes, got more"

    async def receive(self) -> Message:
        """The next part of the body; HTTPException with 413 or 408."""
        message = await self._next()
        if self._read > self._most:
            raise HTTPException(413, self.too_large)
        return message

    async def is_read(self) -> bool:
        """Drop what is left, within bounds; whether the body came to its end."""
        if self._waits and not self._read:
            return self._over
        try:
            while not (self._over or self._late) and self._read <= 2 * self._most:
                await self._next()
        except HTTPException:
            return False
        return self._over

    async def _next(self) -> Message:
        if self._over:  # what comes now is the end of the connection, for which there is no time
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._ends_at):
                message = await self._receive()
        except TimeoutError:
            self._late = True
            detail = f"expected the whole body within {self._seconds:g} s; got a part of it"
            raise HTTPException(408, detail) from None
        self._read += len(message.get("body", b""))
        self._over = message["type"] != "http.request" or not message.get("more_body", False)
        return message


Form = tuple[list[Upload], dict[str, str]]  # files, and text by field


class _InMemory(MultiPartParser):
    """Starlette's parser; files stay in memory, which the size of the body bounds.

    A part whose name is given in the extended form only (`filename*`) is a file as well.
    """

    def __init__(self, request: Request, stream: AsyncGenerator[bytes, None], most: int) -> None:
        super().__init__(
            request.headers,
            stream,
            max_files=most,
            max_fields=MOST_FIELDS,
            max_part_size=MOST_FIELD_BYTES,
        )
        self.spool_max_size = 0  # never roll over to a file
        self.ended = False
        self._field = self._value = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._value = with_plain_name(self._value)
        super().on_header_field(self._field, 0, len(self._field))
        super().on_header_value(self._value, 0, len(self._value))
        super().on_header_end()
        self._field = self._value = b""

    def on_end(self) -> None:
        self.ended = True


def with_plain_name(disposition: bytes) -> bytes:
    """A Content-Disposition with a plain file name where it has only an extended one (RFC 8187).

    RFC 7578 section 4.2 forbids the extended one in a form, so a plain one goes before it. Some
    clients send it all the same.
    """
    if b"*" not in disposition or parse_options_header(disposition)[1].get(b"filename"):
        return disposition
    headed = MailHeader()
    headed["Content-Disposition"] = disposition.decode("latin-1")
    pairs = headed.get_params([], header="content-disposition")
    names = [collapse_rfc2231_value(value) for key, value in pairs if key.lower() == "filename"]
    if not names:
        return disposition
    name = re.split(r"[/\\]", next(filter(None, names), ""))[-1].replace('"', '\\"')
    return disposition + f'; filename="{name}"'.encode("utf-8", "replace")


async def read_form(
    request: Request, admission: Admission, *, most: int, texts: Collection[str] = ()
) -> Form:
    """Read a multipart body, which nobody has read yet.

    Raises:
        HTTPException: 415 where it is no multipart body; 400 where it is broken, or has more files
            or fields than it may; 422 where a field is another than expected, or no file is there;
            413 or 408 where it is too large or too slow.
        OverloadError: There is no room for it now.
    """
    if not has_files(request.headers):
        wanted = "multipart/form-data with a file in the field `file`"
        raise HTTPException(415, f"expected {wanted}; got {kind_of(request.headers)}")
    try:
        parser = _InMemory(request, _counted(request, admission), most)
        form = await parser.parse()
    except MultiPartException as error:
        words = next(told for start, told in _BROKEN.items() if error.message.startswith(start))
        raise HTTPException(400, f"expected {words.format(most=most)}") from None
    except UnicodeError:  # the charset that its head names
        raise HTTPException(400, "expected a form in UTF-8, got another charset") from None
    if not parser.ended:  # what came after the last whole part is lost
        await form.close()
        raise HTTPException(400, "expected a form up to its closing boundary, got a part of one")
    try:
        return await asyncio.to_thread(_form_of, form, texts)  # hashing takes its time
    finally:
        await form.close()


async def _counted(request: Request, admission: Admission) -> AsyncGenerator[bytes, None]:
    async for chunk in request.stream():
        admission.hold_bytes(len(chunk))
        yield chunk


def _form_of(form: FormData, known: Collection[str]) -> Form:
    files: list[tuple[str, bytes]] = []
    texts: dict[str, str] = {}
    for field, value in form.multi_items():
        shown = repr(field[:40])
        if isinstance(value, UploadFile):
            _require(field in FILE_FIELDS, f"files in the field `file`; got one in {shown}")
            content = value.file.read()
            if content or value.filename:  # a browser sends an empty part for an empty choice
                files.append((value.filename or "", content))
        elif value or field not in FILE_FIELDS:
            _require(field not in FILE_FIELDS, f"a file in the field {shown}; got text")
            if field not in known:
                raise HTTPException(422, only("fields", field, ["file", *known]))
            texts[field] = value
    _require(bool(files), "at least one file in the field `file`, got none")
    names = distinct([shown_name(name) for name, _ in files])
    uploads = [Upload.of(name, content) for name, (_, content) in zip(names, files, strict=True)]
    return uploads, texts


def shown_name(given: str) -> str:
    """What to call a file that was sent under some name, which may hold anything."""
    last = re.split(r"[/\\]", given)[-1]
    visible = "".join(c for c in last if c.isprintable()).replace("!", "_").replace("#", "_")
    return visible.strip(". ")[-LONGEST_NAME:] or "file"


def distinct(names: Sequence[str]) -> list[str]:
    """The names, those that were there before with a number that makes them their own."""
    taken: dict[str, None] = {}
    seen: Counter[str] = Counter()
    for name in names:
        other = name
        while other in taken:
            seen[name] += 1
            other = f"{name} ({seen[name] + 1})"
        taken[other] = None
    return list(taken)


def _require(right: bool, expected: str) -> None:
    if not right:
        raise HTTPException(422, f"expected {expected}")
