"""``x3 report``: results, or a data root, as one folder of static pages."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from x3spatial.engine.local import default_workers
from x3spatial.errors import UserError, flag
from x3spatial.evaluation.options import check_workers
from x3spatial.io.files import check_output
from x3spatial.reports.gather import gather
from x3spatial.reports.web.folder import (
    Written,
    check_zip,
    report_folder,
    write_folder,
    write_zip,
)
from x3spatial.reports.web.options import ReportOptions
from x3spatial.reports.web.results_site import ResultsSite
from x3spatial.reports.web.site import Site
from x3spatial.roots.layout import SPLITS
from x3spatial.texts import counted

_LOG = logging.getLogger("x3spatial")
_MODES = {
    "copy": "full-size WebP copies",
    "thumbs": "thumbnails",
    "link": "links to the originals: this folder cannot be moved or sent to anybody",
}


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """A written report."""

    index: Path
    """The page to open."""
    kind: str
    """``results`` or ``root``."""
    files: int
    size: int
    """Bytes of the folder."""
    kept: int
    """Files that were there already."""
    problems: tuple[tuple[str, str], ...]
    """(path, reason) of what is missing or was left out; the page lists them too."""
    zip: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON values."""
        value = asdict(self)
        value["index"] = str(self.index)
        value["zip"] = None if self.zip is None else str(self.zip)
        value["problems"] = [{"path": path, "reason": reason} for path, reason in self.problems]
        return value


def report(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    options: ReportOptions | None = None,
    *,
    zip: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> ReportSummary:
    """Write results of ``x3 eval`` and ``x3 zeroshot``, or a data root and its audit, as a web page.

    The folder opens from disk (``index.html``), on any web server, and without a network. The same call
    continues a run that was killed.

    Args:
        paths: results files, or folders with results at any depth, or one data root.
        out: the folder to write; only an earlier report is replaced.
        options: options; None for the defaults.
        zip: also pack the folder into this file.
        workers: threads; None for one per CPU. The bytes do not depend on it.
        **changes: fields of ``ReportOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``ReportOptions`` has no such field.
        UserError: an option or path is invalid, nothing is there to show, or ``out`` holds something else.
    """
    options = replace(options or ReportOptions(), **changes)
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    inputs = [Path(path) for path in given]
    folder = Path(out)
    check_workers(workers)
    workers = default_workers() if workers is None else workers
    packed = None if zip is None else Path(zip)
    if packed is not None:
        if options.images == "link":
            raise UserError(
                "--zip: --images link points to files of this machine; use --images copy or thumbs"
            )
        check_output(packed, "--zip")
        check_zip(packed)
    _check_apart(inputs, folder)
    with report_folder(folder):
        site, kind = make_site(inputs, options, folder)
        try:
            _announce(site)
            key = [kind, [os.path.realpath(path) for path in inputs], _plain(options), site.key()]
            written = write_folder(site, folder, key, workers)
            problems = tuple(site.problems(written.pictures))
        finally:
            site.close()
        if packed is not None:
            write_zip(folder, packed)
    return _summary(written, kind, problems, packed)


def make_site(
    inputs: Sequence[Path],
    options: ReportOptions,
    spool_folder: Path | None = None,
    *,
    may_be_empty: bool = False,
) -> tuple[Site, str]:
    """The report of results or of a data root, whichever ``inputs`` are; and its kind.

    ``may_be_empty``: runs that have no answer yet are no error.

    Raises:
        UserError: see ``report``.
    """
    if not inputs:
        raise UserError("RESULTS: name results files, folders with results, or a data root")
    roots = [path for path in inputs if is_data_root(path)]
    if not roots:
        return ResultsSite(
            gather(inputs, options, may_be_empty=may_be_empty), options, spool_folder
        ), "results"
    if len(inputs) > 1:
        raise UserError(f"{roots[0]}: is a data root; name it alone, without results")
    for name in ("tasks", "image_folder", "image_root"):
        if getattr(options, name):
            raise UserError(f"{flag(name)}: is for results; {roots[0]} is a data root")
    from x3spatial.reports.web.root_site import RootSite

    return RootSite(roots[0], options, spool_folder), "root"


def is_data_root(path: Path) -> bool:
    """Whether ``path`` has a split folder with scenes and objects."""
    return any(
        next((path / split).glob("*/uid_*"), None) is not None
        for split in SPLITS
        if (path / split).is_dir()
    )


def _check_apart(inputs: Sequence[Path], folder: Path) -> None:
    """Refuse a folder that holds an input, or is one."""
    here = os.path.realpath(folder)
    for path in inputs:
        if Path(os.path.realpath(path)).is_relative_to(here):
            raise UserError(f"--out {folder}: holds the input {path}; name another folder")


def _announce(site: Site) -> None:
    """Say what the pictures will take before they are written."""
    count, mode = len(site.pictures.paths), site.pictures.mode
    size = site.pictures.estimate()
    about = f", about {size / 1e6:,.1f} MB" if mode != "link" else ""
    _LOG.info("%s%s (--images %s: %s)", counted(count, "image"), about, mode, _MODES[mode])


def _plain(options: ReportOptions) -> dict[str, Any]:
    return {name: str(value) for name, value in asdict(options).items()}


def _summary(
    written: Written, kind: str, problems: tuple[tuple[str, str], ...], packed: Path | None
) -> ReportSummary:
    return ReportSummary(
        written.folder / "index.html",
        kind,
        written.files,
        written.size,
        written.kept,
        problems,
        packed,
    )
