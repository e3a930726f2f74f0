"""``x3 ask``: a page that asks people the questions of a task file; nothing in it tells an answer."""

from __future__ import annotations

import hashlib
import html
import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from x3spatial.arrays import UInt8
from x3spatial.engine.local import default_workers
from x3spatial.engine.ordered import map_ordered
from x3spatial.errors import UserError
from x3spatial.evaluation.options import check_workers
from x3spatial.formats.image_paths import ImagePaths, check_present
from x3spatial.formats.sample_tokens import SampleTokens
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.files import make_dir, read_manifest, write_bytes, write_json
from x3spatial.io.images import (
    WEBP_SIDE,
    ImageError,
    decode_rgb,
    encode_png,
    encode_webp,
    encode_webp_lossless,
    read_bytes,
)
from x3spatial.io.members import file_at
from x3spatial.io.opening import refuse_link
from x3spatial.progress import progress
from x3spatial.reports.people.options import AskPageOptions
from x3spatial.tasks.answers import says_token

FORMAT = 1
MANIFEST = "x3-ask.json"
_WRITTEN_BY = "x3 ask"
_PACKAGE = "x3spatial.reports.web"
_TEMPLATE = "ask.html"
_ASSETS = ("ask.js", "ask.css")
_OURS = re.compile(
    r"index\.html|assets/ask\.(?:js|css)|data/questions\.js|images/[0-9a-f]{20}\.(?:webp|png)"
)
"""Names of the files of a page. Others in its folder are left alone."""
_AHEAD = 16


@dataclass(frozen=True, slots=True)
class AskPage:
    """A written page."""

    index: Path
    """The page to open."""
    questions: int
    samples: int
    """Number of samples of the task file."""
    images: int
    size: int
    """Bytes of the folder."""
    problems: tuple[tuple[str, str], ...]
    """(path, reason) of images that are missing or unreadable; their questions are left out."""
    left_out: int
    """Number of questions without one of their images."""

    def to_json(self) -> dict[str, Any]:
        """The page as JSON values."""
        return {
            "index": str(self.index),
            "questions": self.questions,
            "samples": self.samples,
            "images": self.images,
            "bytes": self.size,
            "left_out": self.left_out,
            "problems": [{"path": path, "reason": reason} for path, reason in self.problems],
        }


@dataclass(frozen=True, slots=True)
class _Image:
    path: str
    width: int = 0
    height: int = 0
    name: str = ""
    """Below the page."""
    reason: str | None = None
    """Why it cannot be shown."""


_Asked = tuple[TaskRecord, list[_Image]]


def ask(
    tasks: str | Path,
    out: str | Path,
    options: AskPageOptions | None = None,
    *,
    workers: int | None = None,
    **changes: Any,
) -> AskPage:
    """Write a folder with a page (``index.html``) that asks a person the questions of a task file.

    The page opens from disk and sends nothing. It has the images under opaque names, without metadata, and
    the questions under opaque ids (``formats.sample_tokens``); right answers, masks, labels and ids are not
    in it. ``x3 score`` reads the answers that it saves.

    Args:
        tasks: the task file.
        out: the folder to write; only an earlier page of ``x3 ask`` is replaced.
        options: options; None for the defaults.
        workers: threads; None for one per CPU. The bytes do not depend on it.
        **changes: fields of ``AskPageOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``AskPageOptions`` has no such field.
        UserError: a file or option is invalid, a task is not answered by pointing, or ``out`` holds something
            else.
    """
    options = replace(options or AskPageOptions(), **changes)
    check_workers(workers)
    tasks, folder = Path(tasks), Path(out)
    stored = read_records(tasks)
    if not stored:
        raise UserError(f"{tasks}: has no samples")
    _check_askable(tasks, stored)
    tokens = SampleTokens(stored)
    records = ImagePaths(tasks, options.image_folder, options.image_root).records(stored)
    check_present(tasks, (record.images for record in records))
    _check_folder(folder)
    order = sorted(
        records, key=lambda r: tokens.digest("order", f"{options.seed}\0{r.id}".encode())
    )
    workers = default_workers() if workers is None else workers
    asked = _write_images(folder, order, tokens, options, workers)
    problems = {i.path: i.reason for _, images in asked for i in images if i.reason is not None}
    chosen = [(record, images) for record, images in asked if _shown(images)]
    if not chosen:
        path, reason = next(iter(problems.items()))
        raise UserError(f"{tasks}: no question can be shown; {path}: {reason}")
    names = _write_page(folder, chosen, tokens, options)
    _remove_others(folder, names)
    about = {"written_by": _WRITTEN_BY, "format": FORMAT, "state": "complete"}
    write_json(folder / MANIFEST, {**about, "questions": len(chosen)})
    return AskPage(
        folder / "index.html",
        len(chosen),
        len(records),
        sum(name.startswith("images/") for name in names),
        sum((folder / name).stat().st_size for name in names),
        tuple(problems.items()),
        len(asked) - len(chosen),
    )


def _check_askable(tasks: Path, records: Sequence[TaskRecord]) -> None:
    for record in records:
        if record.spec.answer.is_right is not None:
            raise UserError(
                f"{tasks}: {record.task} is not answered with a point; x3 ask cannot ask it"
            )


def _check_folder(folder: Path) -> None:
    refuse_link(folder)
    if folder.is_file():
        raise UserError(f"--out {folder}: is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        manifest = read_manifest(folder / MANIFEST)
        if manifest is None or manifest.get("written_by") != _WRITTEN_BY:
            raise UserError(
                f"--out {folder}: holds something else than a page of x3 ask; name a new folder"
            )
    make_dir(folder, "--out")
    # Before anything else, so that a run that was killed leaves a folder that is recognised.
    if read_manifest(folder / MANIFEST) is None:
        write_json(
            folder / MANIFEST,
            {"written_by": _WRITTEN_BY, "format": FORMAT, "state": "unfinished"},
        )


def _write_images(
    folder: Path,
    order: Sequence[TaskRecord],
    tokens: SampleTokens,
    options: AskPageOptions,
    workers: int,
) -> list[_Asked]:
    """The questions up to the last one that is asked, with their images, which are written."""
    limit = len(order) if options.limit is None else min(options.limit, len(order))
    images = _Images(folder, tokens, options.quality)

    def work(record: TaskRecord) -> _Asked:
        return record, [images.write(path) for path in record.images]

    found: list[_Asked] = []
    shown = 0
    (folder / "images").mkdir(exist_ok=True)
    with progress("writing images", limit) as advance:
        for asked in map_ordered(work, order, workers=workers, ahead=_AHEAD):
            found.append(asked)
            if _shown(asked[1]):
                shown += 1
                advance()
            if shown == limit:
                break
    return found


def _shown(images: Sequence[_Image]) -> bool:
    return all(image.reason is None for image in images)


class _Images:
    """Writes the pixels of images alone: nothing of a file, its kind or its name remains. Thread-safe.

    Each file is decoded once, and equal images are one file.
    """

    def __init__(self, folder: Path, tokens: SampleTokens, quality: int | None) -> None:
        self._folder, self._tokens, self._quality = folder, tokens, quality
        self._lock = threading.Lock()
        self._known: dict[str, _Image] = {}
        self._claimed: set[str] = set()

    def write(self, path: str) -> _Image:
        """The image of a file, which is written unless this or an earlier run has done so."""
        with self._lock:
            if path in self._known:
                return self._known[path]
        image = self._write(path)
        with self._lock:
            return self._known.setdefault(path, image)

    def _write(self, path: str) -> _Image:
        try:
            pixels = decode_rgb(read_bytes(file_at(path)))
        except ImageError as error:
            return _Image(path, reason=error.reason)
        height, width = pixels.shape[:2]
        shape = f"{width}x{height} {self._quality}".encode()
        digest = self._tokens.digest("image", shape + hashlib.sha256(pixels.tobytes()).digest())
        name = f"images/{digest}.{'png' if _is_too_long(pixels) else 'webp'}"
        with self._lock:
            mine = name not in self._claimed
            self._claimed.add(name)
        if mine and not (self._folder / name).is_file():
            write_bytes(self._folder / name, self._encode(pixels))
        return _Image(path, width, height, name)

    def _encode(self, pixels: UInt8) -> bytes:
        if _is_too_long(pixels):
            return encode_png(pixels)
        if self._quality is None:
            return encode_webp_lossless(pixels)
        return encode_webp(pixels, self._quality)


def _is_too_long(pixels: UInt8) -> bool:
    return bool(max(pixels.shape) > WEBP_SIDE)


def _write_page(
    folder: Path,
    asked: Sequence[_Asked],
    tokens: SampleTokens,
    options: AskPageOptions,
) -> set[str]:
    """Write all files but the images; returns the names of all files."""
    texts: dict[str, int] = {}
    questions = [_question(record, images, tokens, texts) for record, images in asked]
    data = {
        "format": FORMAT,
        "set": tokens.digest("set", f"{options.seed} {len(asked)}".encode()),
        "title": options.title,
        "texts": list(texts),
        "questions": questions,
    }
    package = resources.files(_PACKAGE)
    page = (package / _TEMPLATE).read_text("utf-8").replace("{title}", html.escape(options.title))
    files = {
        "index.html": page.encode(),
        "data/questions.js": f"x3ask({json.dumps(data)});\n".encode(),
        **{f"assets/{name}": (package / "assets" / name).read_bytes() for name in _ASSETS},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_bytes(folder / name, content)
    return {*files, *(image.name for _, images in asked for image in images)}


def _question(
    record: TaskRecord, images: Sequence[_Image], tokens: SampleTokens, texts: dict[str, int]
) -> dict[str, Any]:
    spec = record.spec
    text = record.question or record.prompt
    # The absent token is an answer only where the model's prompt offers it too.
    offered = says_token(record.prompt, spec.absent_token)
    point = record.reference_point
    return {
        "id": tokens.of(record.id),
        "text": texts.setdefault(text, len(texts)),
        "images": [{"src": i.name, "w": i.width, "h": i.height} for i in images],
        "absent": spec.absent_token if offered else None,
        "half": spec.side_by_side,
        "reference": None if point is None else list(point),
    }


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove files of an earlier page that this one does not have."""
    for path in list(_files(folder)):
        name = path.relative_to(folder).as_posix()
        if name not in names and _OURS.fullmatch(name):
            path.unlink()


def _files(folder: Path) -> Iterator[Path]:
    for top in ("assets", "data", "images"):
        with suppress(FileNotFoundError):
            yield from (path for path in (folder / top).iterdir() if not path.is_dir())
