"""The output folder of an export: what is ours in it, and what earlier and killed exports left."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import HASH_DIGITS
from x3spatial.exporters.manifest import MANIFEST, NOTE
from x3spatial.io.files import PROBE, read_manifest, write_json
from x3spatial.io.images import ImageError, read_bytes
from x3spatial.io.opening import part_path

_COPY = re.compile(rf".*-([0-9a-f]{{{HASH_DIGITS}}})(\.[^.]*)?", re.DOTALL)
"""The name of a copy, with the beginning of its hash."""
_PART_OF_COPY = re.compile(rf"\..*-[0-9a-f]{{{HASH_DIGITS}}}(\.[^.]*)?\.part", re.DOTALL)


@contextmanager
def claimed(
    out_dir: Path, earlier: Mapping[str, Any] | None, names: Collection[str]
) -> Iterator[None]:
    """Prepare ``out_dir`` for the files ``names``, and remove what earlier and killed exports left.

    The files that are about to be written are noted first: an export that is killed leaves no manifest, but
    this note, so that the next one knows what is ours.

    Args:
        out_dir: the folder.
        earlier: the manifest of a finished export in it.
        names: the files and folders that will be written, without the manifest.

    Raises:
        UserError: one of them exists and no export of ours wrote it.
    """
    note = out_dir / NOTE
    ours = _names(earlier) | _names(read_manifest(note))
    ours |= set() if earlier is None else {MANIFEST}
    for name in sorted({MANIFEST, *names} - ours):
        if os.path.lexists(out_dir / name):
            raise UserError(
                f"--out {out_dir}: holds {name}, which x3 export did not write; choose another folder"
            )
    write_json(note, {"files": sorted({MANIFEST, *names, *ours})})
    # Without a manifest the folder does not count as a finished export.
    (out_dir / MANIFEST).unlink(missing_ok=True)
    for name in sorted(ours):
        _remove(part_path(out_dir / name))
        _remove(part_path(out_dir / f"{name}.arrow"))
        if name not in names:
            _remove(out_dir / name)
    try:
        yield
    finally:
        if (out_dir / MANIFEST).exists() or not any((out_dir / name).exists() for name in names):
            note.unlink()


def _names(manifest: Mapping[str, Any] | None) -> set[str]:
    """The names in ``files`` that can be entries of the folder itself."""
    files = (manifest or {}).get("files", ())
    names = (
        (name for name in files if isinstance(name, str)) if isinstance(files, dict | list) else ()
    )
    return {name for name in names if name not in ("", ".", "..") and Path(name).name == name}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def drop_copies(folder: Path, wanted: Collection[str]) -> None:
    """Delete the copies of images in ``folder`` that this export does not use.

    A copy is recognised by the hash in its name, so that files of others stay.
    """
    if not folder.is_dir():
        return
    (folder / PROBE).unlink(missing_ok=True)
    for file in list(folder.iterdir()):
        if file.name in wanted or file.is_symlink() or not file.is_file():
            continue
        if _PART_OF_COPY.fullmatch(file.name) or _is_copy(file):
            file.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _is_copy(file: Path) -> bool:
    found = _COPY.fullmatch(file.name)
    if found is None:
        return False
    try:
        data = read_bytes(file)
    except ImageError:
        return False
    return hashlib.sha256(data).hexdigest().startswith(found[1])
