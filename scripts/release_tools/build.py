"""The wheel and the sdist, from a commit, with the same bytes each time."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from release_tools.words import ReleaseError


def export(root: Path, folder: Path) -> None:
    """Write the files of HEAD into ``folder``: nothing untracked, no leftovers of ``build/``."""
    archive = subprocess.run(
        ["git", "-c", "tar.umask=0022", "archive", "HEAD"],
        cwd=root, capture_output=True, check=True,
    ).stdout  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def build(source: Path, out: Path, epoch: int, python: str = sys.executable) -> tuple[Path, Path]:
    """(wheel, sdist) of the sources: the sdist first, the wheel from what is in it.

    Args:
        source: A folder with the files of a commit (`export`).
        out: Where both are written; beside them lies ``unpacked/``.
        epoch: The time of all their entries, in seconds since 1970.
        python: One with ``build`` and the build backend.

    Raises:
        ReleaseError: The backend fails.
    """
    _run_build(source, "--sdist", out, epoch, python)
    (sdist,) = out.glob("*.tar.gz")
    normalise(sdist, epoch)
    with tarfile.open(sdist) as tar:
        tar.extractall(out / "unpacked", filter="data")
    (unpacked,) = (out / "unpacked").iterdir()
    return wheel_of(unpacked, out, epoch, python), sdist


def wheel_of(source: Path, out: Path, epoch: int, python: str = sys.executable) -> Path:
    """The wheel of a folder of sources, written into ``out``.

    Raises:
        ReleaseError: The backend fails.
    """
    _run_build(source, "--wheel", out, epoch, python)
    (wheel,) = out.glob("*.whl")
    return wheel


def _run_build(source: Path, kind: str, out: Path, epoch: int, python: str) -> None:
    # The umask decides the modes in the wheel. Without isolation the pinned backend is used.
    command = [python, "-m", "build", kind, "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(
        command, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}, umask=0o022,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"]
        raise ReleaseError(f"python -m build {kind}: {lines[-1]}")


def normalise(sdist: Path, epoch: int) -> None:
    """Rewrite an sdist without what differs between machines and moments: order, times, owners, modes."""
    with tarfile.open(sdist) as tar:
        # In the archive's order: going back in it unpacks everything before again.
        entries = sorted((m.name, m.mode & 0o100, _content(tar, m)) for m in tar if m.isfile())
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, executable, content in entries:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), epoch
            member.mode = 0o755 if executable else 0o644
            tar.addfile(member, io.BytesIO(content))
    sdist.write_bytes(gzip.compress(plain.getvalue(), mtime=epoch))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()
