"""Multipart bodies to named bytes in memory; nothing of them is ever written to disk."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from slicewise.imaging.entry import Entry, bytes_entry
from slicewise.imaging.limits import Limits
from slicewise.service.http.body import has_files
from slicewise.service.prediction.admission import Ticket
from slicewise.service.settings import Settings

FILE_FIELDS = ("file", "files", "image")
"""Form fields that files come in; `image` is what older clients call it."""

MOST_FIELDS = 16
MOST_FIELD_BYTES = 1024
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """One file of a request.

    Args:
        name: What to call it in the answer: unlike that of any other file of the request, without
            folders, control characters and the marks `!` and `#` that sources are made with.
        content: Its bytes.
        sha256: Of them, hexadecimal.
    """

    name: str
    content: bytes
    sha256: str

    def entry(self) -> Entry:
        """What `imaging.read` reads."""
        return bytes_entry(self.content, self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A multipart body: files, and text by field."""

    uploads: tuple[Upload, ...]
    texts: dict[str, str]


class _InMemory(MultiPartParser):
    """Starlette's parser; files stay in memory, which the size of the body bounds."""

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

    def on_end(self) -> None:
        """Note that the closing boundary was there."""
        self.ended = True


def limits_of(settings: Settings) -> Limits:
    """What is refused before decoding: less than on the command line, for memory is shared."""
    return Limits(
        max_bytes=settings.max_upload_bytes,
        max_pixels=25_000_000,
        max_frames=1024,
        max_volume_pixels=64_000_000,
        max_zip_entries=2048,
        max_zip_bytes=8 * settings.max_upload_bytes,
    )


async def read_form(
    request: Request, ticket: Ticket, *, most: int, texts: Collection[str] = ()
) -> Form:
    """Read a multipart body.

    Args:
        request: Whose body nobody has read yet.
        ticket: Counts the bytes.
        most: Files in it.
        texts: Text fields that may be in it.

    Raises:
        HTTPException: 415 where it is no multipart body; 400 where it is broken, or has more files
            or fields than it may; 422 where a field is another than expected, or no file is there;
            413 or 408 where it is too large or too slow.
        OverloadError: There is no room for it now.
    """
    if not has_files(request.headers):
        raise HTTPException(415, "expected multipart/form-data with a file in the field `file`")
    try:
        parser = _InMemory(request, _counted(request, ticket), most)
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    except UnicodeError:  # the charset that its head names
        raise HTTPException(400, "expected a form in UTF-8, got another charset") from None
    if not parser.ended:  # what came after the last whole part is lost
        await form.close()
        raise HTTPException(400, "expected a form up to its closing boundary, got a part of one")
    try:
        return await asyncio.to_thread(_form_of, form, texts)  # hashing takes its time
    finally:
        await form.close()


async def _counted(request: Request, ticket: Ticket) -> AsyncGenerator[bytes, None]:
    async for chunk in request.stream():
        ticket.hold(len(chunk))
        yield chunk


def _form_of(form: FormData, known: Collection[str]) -> Form:
    files: list[tuple[str, bytes]] = []
    texts: dict[str, str] = {}
    for field, value in form.multi_items():
        if isinstance(value, UploadFile):
            _require(field in FILE_FIELDS, f"files in the field `file`; got one in {_shown(field)}")
            content = value.file.read()
            if content or value.filename:  # a browser sends an empty part for an empty choice
                files.append((value.filename or "", content))
        elif value or field not in FILE_FIELDS:
            got = "text in a field for files" if field in FILE_FIELDS else f"field {_shown(field)}"
            _require(
                field in known, f"no other fields than {', '.join(['file', *known])}; got {got}"
            )
            texts[field] = value
    _require(bool(files), "at least one file in the field `file`, got none")
    names = distinct([shown_name(name) for name, _ in files])
    uploads = (upload_of(name, content) for name, (_, content) in zip(names, files, strict=True))
    return Form(tuple(uploads), texts)


def upload_of(name: str, content: bytes) -> Upload:
    """A file of a request.

    Args:
        name: As it is to be shown.
        content: Its bytes.
    """
    return Upload(name, content, hashlib.sha256(content).hexdigest())


def shown_name(given: str) -> str:
    """What to call a file that was sent under some name, which may hold anything."""
    last = re.split(r"[/\\]", given)[-1]
    visible = "".join(c for c in last if c.isprintable()).replace("!", "_").replace("#", "_")
    return visible.strip(". ")[-LONGEST_NAME:] or "file"


def distinct(names: Sequence[str]) -> list[str]:
    """The names, those that were there before with a number that makes them their own."""
    taken: set[str] = set()
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        unlike = name
        while unlike in taken:
            seen[name] += 1
            unlike = f"{name} ({seen[name] + 1})"
        taken.add(unlike)
        result.append(unlike)
    return result


def upload_name_of(source: str) -> str:
    """The name of the upload that a slice came in, from the source of the slice."""
    return re.split(r"[!#]", source, maxsplit=1)[0]


def _require(right: bool, expected: str) -> None:
    if not right:
        raise HTTPException(422, f"expected {expected}")


def _shown(field: str) -> str:
    return repr(field[:40])
