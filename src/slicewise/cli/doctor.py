"""`slicewise doctor`: whether this installation can work, and how to mend what it cannot."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import typer

from slicewise.cli.options import AsJson, show, show_json

Status = Literal["ok", "warning", "error"]
REINSTALL = "pip install --force-reinstall slicewise"
GIGABYTE = 10**9
LITTLE = 1.0  # in GB, of memory or disk: with less, long work may end early


@dataclass(frozen=True, slots=True)
class InstallationCheck:
    """What was found about one thing.

    A warning: a part works less well or not at all. An error: SliceWise does not work.
    """

    name: str
    status: Status
    message: str
    mend: str | None = None  # what to do about it


def doctor(json_: AsJson = False) -> None:
    """Check this installation and say how to mend it.

    Each line has a status (ok, warning or error), what was looked at, what was found and what it
    means, and what to do about it. The exit code is 1 where a check is an error.
    """
    checks = [check for name, look in CHECKS.items() for check in _findings(name, look)]
    if json_:
        show_json([asdict(check) for check in checks])
    else:
        for check in checks:
            mend = f" -> {check.mend}" if check.mend else ""
            show(f"{check.status:<8} {check.name}: {check.message}{mend}")
    raise typer.Exit(1 if any(check.status == "error" for check in checks) else 0)


def _findings(
    name: str, look: Callable[[], Iterator[InstallationCheck]]
) -> list[InstallationCheck]:
    """What a check finds; one that fails is an error itself, whatever is broken."""
    from slicewise.errors import SliceWiseError

    try:
        return list(look())
    except Exception as error:
        kind = "" if isinstance(error, SliceWiseError) else f"{type(error).__name__}: "
        return [InstallationCheck(name, "error", f"{kind}{error}", MEND.get(name, REINSTALL))]


def _warned(name: str, message: str, mend: str, *, bad: bool) -> InstallationCheck:
    return InstallationCheck(name, "warning" if bad else "ok", message, mend if bad else None)


def _versions() -> Iterator[InstallationCheck]:
    import platform

    from slicewise import __file__ as here
    from slicewise import __version__

    machine = f"{platform.system()} {platform.machine()}"
    yield InstallationCheck("python", "ok", f"Python {platform.python_version()} on {machine}")
    yield InstallationCheck("slicewise", "ok", f"SliceWise {__version__} in {Path(here).parent}")


def _extras() -> Iterator[InstallationCheck]:
    from importlib import metadata

    for extra in metadata.metadata("slicewise").get_all("Provides-Extra") or ():
        missing = [n for n in _packages(extra) if not any(metadata.distributions(name=n))]
        found = f"not installed (missing: {', '.join(missing)})" if missing else "installed"
        install = f"pip install 'slicewise[{extra}]'" if missing else None
        yield InstallationCheck(f"extra {extra}", "ok", found, install)


def _packages(extra: str) -> list[str]:
    """What an extra installs, other extras of SliceWise included."""
    from importlib import metadata

    names: list[str] = []
    for line in metadata.requires("slicewise") or ():
        found = re.match(r"([\w.-]+)(?:\[(\w+)\])?.*;.*extra == ['\"]([\w-]+)['\"]", line)
        if found and found[3] == extra:
            names += _packages(found[2]) if found[1] == "slicewise" else [found[1]]
    return names


def _model() -> Iterator[InstallationCheck]:
    from slicewise.inference.classifier import Classifier

    bundle = Classifier.load().bundle
    model = f"{bundle.info.name} {bundle.info.version} ({bundle.identity[:12]})"
    yield InstallationCheck("model", "ok", f"{model} is installed and can be loaded")
    licences = (f"{part}: {licence}" for part, licence in bundle.info.licences.items())
    yield InstallationCheck("licences", "ok", f"of the model: {'; '.join(licences)}")


def _public() -> Iterator[InstallationCheck]:
    import hashlib

    from slicewise.data.public.index import INDEX_PATH, public_index

    described = public_index().described
    identity = hashlib.sha256(INDEX_PATH.read_bytes()).hexdigest()
    yield InstallationCheck("known slices", "ok", f"index {described}; SHA-256 {identity}")


def _decoders() -> Iterator[InstallationCheck]:
    from pydicom import uid
    from pydicom.pixels.decoders.base import get_decoder

    syntaxes = [
        *(uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1),
        *(uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000),
        uid.RLELossless,
    ]
    missing = [syntax.name for syntax in syntaxes if not get_decoder(syntax).is_available]
    message = "JPEG, JPEG-LS, JPEG 2000 and RLE in DICOM files can be read"
    lacking = f"these compressions of DICOM files cannot be read: {', '.join(missing)}"
    yield _warned("decoders", lacking if missing else message, REINSTALL, bad=bool(missing))


def _cores() -> Iterator[InstallationCheck]:
    there = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    quota, _, period = _limit("cpu.max").partition(" ")
    limit = f"; the container allows the time of {int(quota) / int(period):g}" if quota else ""
    yield InstallationCheck("cores", "ok", f"{usable} of {there} may be used{limit}")


def _memory() -> Iterator[InstallationCheck]:
    if not Path("/proc/meminfo").exists():
        return  # not known on this system
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    sizes = {line.partition(":")[0]: int(line.split()[1]) * 1024 / GIGABYTE for line in lines}
    available = sizes["MemAvailable"]
    message = f"{available:.1f} of {sizes['MemTotal']:.1f} GB are available"
    if limit := _limit("memory.max"):
        left = (int(limit) - int(_limit("memory.current") or 0)) / GIGABYTE
        available = min(available, left)
        message += f"; of the {int(limit) / GIGABYTE:.1f} GB of the container {left:.1f} are left"
    yield _warned("memory", message, "end other programs", bad=available < LITTLE)


def _limit(name: str) -> str:
    """A limit of the control group (version 2) of this process; empty where there is none."""
    try:
        limit = Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return "" if limit.startswith("max") else limit


def _device() -> Iterator[InstallationCheck]:
    from slicewise.inference.runtime import ort

    providers = [name.removesuffix("ExecutionProvider") for name in ort.get_available_providers()]
    others = ", ".join(name for name in providers if name not in ("CPU", "Azure"))
    beside = f"; there is also a provider for {others}" if others else ""
    yield InstallationCheck("device", "ok", f"CPU, by ONNX Runtime {ort.__version__}{beside}")


def _database() -> Iterator[InstallationCheck]:
    from slicewise.audit_log.database import Database
    from slicewise.audit_log.log import revision_of
    from slicewise.audit_log.tables import REVISION
    from slicewise.service.settings import read_settings

    url = read_settings().database_url
    file = url.removeprefix("sqlite:///")
    if file != url and not Path(file).exists():
        yield InstallationCheck(
            "database", "ok", f"none yet; the service makes {Path(file).absolute()}"
        )
        return
    database = Database(url, create=False)
    try:
        with database.reading() as connection:
            revision = revision_of(connection)
    finally:
        database.close()
    message = f"{database.name} can be read"
    if revision != REVISION:
        message += f"; its tables are of revision {revision}, not {REVISION}"
    mend = "start the service, which creates or migrates the tables"
    yield _warned("database", message, mend, bad=revision != REVISION)


def _places() -> Iterator[InstallationCheck]:
    import shutil
    import tempfile

    for name, folder in (("working folder", Path.cwd()), ("temporary", tempfile.gettempdir())):
        try:
            with tempfile.TemporaryFile(dir=folder):
                free = shutil.disk_usage(folder).free / GIGABYTE
        except OSError as error:
            message = f"{folder} cannot be written: {error.strerror}"
            yield InstallationCheck(
                name, "warning", message, "work in another folder, or change its rights"
            )
            continue
        message = f"{folder} can be written; {free:.1f} GB are free"
        yield _warned(name, message, "free some space", bad=free < LITTLE)


def _terminal() -> Iterator[InstallationCheck]:
    import locale

    encodings = sys.stdout.encoding, sys.getfilesystemencoding()
    plain = [encoding for encoding in encodings if encoding.lower() != "utf-8"]
    message = f"locale {locale.setlocale(locale.LC_CTYPE)}; names are shown in {encodings[0]}"
    if plain:
        message += f"; {plain[0]} cannot hold every name, so that some are shown as escapes"
    yield _warned("terminal", message, "export PYTHONUTF8=1", bad=bool(plain))


CHECKS: dict[str, Callable[[], Iterator[InstallationCheck]]] = {
    look.__name__.removeprefix("_"): look
    for look in (
        *(_versions, _extras, _model, _public, _decoders, _cores),
        *(_memory, _device, _database, _places, _terminal),
    )
}
MEND = {"database": "correct or unset SLICEWISE_DATABASE_URL, or start its server"}
