"""A report as a folder: resumable, replacing only what ``x3 report`` wrote; and the folder as a zip."""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.engine.local import map_unordered
from x3spatial.errors import UserError
from x3spatial.io.files import (
    make_dir,
    read_manifest,
    replacing,
    sha256_json,
    write_bytes,
    write_json,
)
from x3spatial.io.locks import LOCK, lock_dir
from x3spatial.io.opening import open_part, refuse_link
from x3spatial.progress import progress
from x3spatial.reports.web.images import Picture
from x3spatial.reports.web.page import assets, index_html
from x3spatial.reports.web.site import FORMAT, Site

MANIFEST = "x3-report.json"
_LOG = logging.getLogger("x3spatial")
_OURS = re.compile(
    r"index\.html|assets/[\w.-]+|data/(?:report|root|ids-\d+|set-\d+(?:/detail-\d{4,})?)\.js"
    r"|images/[0-9a-f]{2}/[0-9a-f]{32}\.webp"
)
"""Names of the files of a report. Others in its folder are left alone."""
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Written:
    """What a report consists of."""

    folder: Path
    files: int
    size: int
    """Bytes."""
    kept: int
    """Files of an unfinished run that were used again."""
    pictures: Mapping[int, Picture]


@contextmanager
def report_folder(folder: Path, option: str = "--out") -> Iterator[None]:
    """Lock the folder that a report is written to; if nothing is written to a new one, it is removed.

    Raises:
        UserError: it holds something else than a report, cannot be written, or another run writes to it.
    """
    refuse_link(folder)
    if folder.is_file():
        raise UserError(f"{option} {folder}: is a file; name a folder")
    is_new = not folder.exists()
    if not is_new and not _is_report(folder) and any(p.name != LOCK for p in folder.iterdir()):
        raise UserError(
            f"{option} {folder}: holds something else than a report of x3 report; name a new folder"
        )
    make_dir(folder, option)
    try:
        with lock_dir(folder, option):
            try:
                yield
            finally:
                (folder / LOCK).unlink(missing_ok=True)
    finally:
        if is_new:
            with suppress(OSError):  # not empty
                folder.rmdir()


def _is_report(folder: Path) -> bool:
    manifest = read_manifest(folder / MANIFEST)
    return manifest is not None and manifest.get("written_by") == "x3 report"


def write_folder(site: Site, folder: Path, key: Any, workers: int) -> Written:
    """Write a report; the same bytes for any number of workers, and after a kill.

    Args:
        site: the report.
        folder: see ``report_folder``.
        key: what the report depends on; files that an unfinished run with the same key has left are used.
        workers: number of threads.

    Raises:
        OSError: a file cannot be written.
    """
    digest = sha256_json([FORMAT, key])
    manifest = read_manifest(folder / MANIFEST) or {}
    resumed = manifest.get("state") == "unfinished" and manifest.get("key") == digest
    about = {"written_by": "x3 report", "format": FORMAT, "key": digest}
    write_json(folder / MANIFEST, {**about, "state": "unfinished"})
    names: set[str] = set()
    kept = 0

    def write(name: str, make: Callable[[], bytes], *, keep: bool) -> bool:
        """Whether an earlier run's file was kept."""
        path = folder / name
        if keep and path.is_file() and not path.is_symlink():
            return True
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, make())
        return False

    pictures, old = _write_pictures(site, folder, workers)
    kept += old
    names |= {
        p.src for p in pictures.values() if p.src is not None and not p.src.startswith("file:")
    }
    scripts = site.scripts()

    def work(name: str) -> tuple[str, bool]:
        file = f"data/{name}.js"
        return file, write(file, lambda: scripts[name](pictures), keep=resumed and name != "report")

    with progress("writing pages", len(scripts)) as advance:
        for file, was_there in map_unordered(work, scripts, workers):
            names.add(file)
            kept += was_there
            advance()
    for name, data in {"index.html": index_html(site.title), **assets()}.items():
        write(name, lambda data=data: data, keep=False)  # type: ignore[misc]
        names.add(name)
    _remove_others(folder, names)
    size = sum((folder / name).stat().st_size for name in names)
    write_json(
        folder / MANIFEST, {**about, "state": "complete", "files": len(names), "bytes": size}
    )
    return Written(folder, len(names), size, kept, pictures)


def _write_pictures(site: Site, folder: Path, workers: int) -> tuple[dict[int, Picture], int]:
    """Number → picture, each file written once; and how many were there already."""
    found: dict[int, Picture] = {}
    claimed: set[str] = set()
    lock = threading.Lock()
    kept = 0

    def claim(name: str) -> bool:
        """Whether this thread writes a file; equal images in several places have one name."""
        with lock:
            return name not in claimed and not claimed.add(name)  # type: ignore[func-returns-value]

    def work(number: int) -> tuple[int, Picture, bool]:
        named = None if site.pictures.mode == "link" else site.pictures.name_of(number)
        if named is not None:
            name, picture = named
            if not claim(name):
                return number, picture, False
            if (folder / name).is_file():  # its name is that of the content
                return number, picture, True
        picture, data = site.pictures.make(number)
        if data is not None and picture.src is not None:
            path = folder / picture.src
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, data)
        return number, picture, False

    count = len(site.pictures.paths)
    with progress("writing images", count) as advance:
        for number, picture, was_there in map_unordered(work, range(count), workers):
            found[number] = picture
            kept += was_there
            advance()
    return found, kept


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove files of an earlier report that this one does not have."""
    for top in ("assets", "data", "images"):
        if (folder / top).is_symlink():
            continue
        for path in sorted((folder / top).rglob("*"), reverse=True):
            name = path.relative_to(folder).as_posix()
            if path.is_dir() and not path.is_symlink():
                with suppress(OSError):  # not empty
                    path.rmdir()
            elif name not in names and (_OURS.fullmatch(name) or _is_part(path, folder)):
                path.unlink()


def _is_part(path: Path, folder: Path) -> bool:
    """Whether a killed run left this file while it wrote one of ours."""
    if not (path.name.startswith(".") and path.name.endswith(".part")):
        return False
    target = path.with_name(path.name[1 : -len(".part")])
    return bool(_OURS.fullmatch(target.relative_to(folder).as_posix()))


def files_of(folder: Path) -> Iterator[str]:
    """The names of a report's files, sorted."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return iter(sorted(name for name in found if name == MANIFEST or _OURS.fullmatch(name)))


def check_zip(path: Path) -> None:
    """Check that a zip may be written to ``path``: nothing is there, or a zip of a report.

    Raises:
        UserError: something else is there.
    """
    if path.suffix.lower() != ".zip":
        raise UserError(f"--zip {path}: name a file that ends in .zip")
    if not path.exists():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            ours = any(name.rpartition("/")[2] == MANIFEST for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        ours = False
    if not ours:
        raise UserError(f"--zip {path}: exists and is no report of x3 report; remove it")


def write_zip(folder: Path, path: Path) -> int:
    """Pack a report, in a folder of its name; the same bytes for the same report.

    Returns:
        The bytes of the zip.
    """
    names = list(files_of(folder))
    with (
        replacing(path),
        open_part(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        progress("packing", len(names)) as advance,
    ):
        for name in names:
            info = zipfile.ZipInfo(f"{Path(os.path.realpath(folder)).name}/{name}", _ZIP_DATE)
            packed = name.endswith(".webp")
            info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            with open(folder / name, "rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target)
            advance()
    return path.stat().st_size
