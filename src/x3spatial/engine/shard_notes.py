"""What a shard says of itself: ``shard.json`` in its folder.

A shard runs in its own folder below (or beside) the output, under its own lock; shards need to know nothing
of each other. Its note is written first, and again with ``complete`` at its end. ``x3 merge`` reads it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import x3spatial
from x3spatial.engine.shards import Shard, shard_folders
from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, read_manifest, sha256_json, write_json
from x3spatial.io.locks import LOCK, lock_file
from x3spatial.io.opening import part_path
from x3spatial.program import command_line

NOTE = "shard.json"
FORMAT = 1
_CHECK = "check"
"""The key of the hash of all others: what is changed by hand, or half written, is not read."""


@dataclass(frozen=True, slots=True)
class Note:
    """The content of ``shard.json``."""

    shard: Shard
    kind: str
    """What makes the output: the name of a merge."""
    identity: Mapping[str, Any]
    """Everything that decides the output and must be the same in all shards."""
    folder: Path
    """Where the shard lies."""
    complete: bool = False
    merged: bool = False
    """Whether the whole output is written, so that the shard can be removed."""
    units: int = 0
    """Number of units of the shard."""
    found: Mapping[str, Any] = field(default_factory=dict)
    """What the merge needs to know besides the files."""
    command: tuple[str, ...] | None = None
    """The command line; None where a program called the function."""
    directory: str = ""
    """The working directory of the command."""
    host: str = ""

    def write(self) -> None:
        """Write the file."""
        contents = {
            "format": FORMAT,
            "shard": str(self.shard),
            "kind": self.kind,
            "complete": self.complete,
            **({"merged": True} if self.merged else {}),
            "units": self.units,
            "identity": dict(self.identity),
            "found": dict(self.found),
            "command": None if self.command is None else list(self.command),
            "directory": self.directory,
            "host": self.host,
        }
        write_json(self.folder / NOTE, {**contents, _CHECK: digest(contents)}, fsync=True)

    def to_run(self, shard: Shard) -> str:
        """How to run another shard of the same run, as part of a message."""
        if self.command is None:
            return f"the same call with shard='{shard}'"
        line = command_line.with_option(self.command, "--shard", str(shard))
        try:
            here = os.path.samefile(self.directory, ".")  # noqa: PTH121 - either may be gone
        except OSError:
            here = False
        return line if here else f"cd {self.directory} && {line}"


def read_note(shard: Shard, folder: Path) -> Note | None:
    """The note of a shard; None if it has none that can be read (it was killed, or is not ours)."""
    value = read_manifest(folder / NOTE)
    if value is None or value.pop(_CHECK, None) != digest(value):
        return None
    if value.get("format") != FORMAT or value.get("shard") != str(shard):
        return None
    try:
        command = value["command"]
        return Note(
            shard,
            str(value["kind"]),
            dict(value["identity"]),
            folder,
            complete=value["complete"] is True,
            merged=value.get("merged") is True,
            units=int(value["units"]),
            found=dict(value["found"]),
            command=None if command is None else tuple(map(str, command)),
            directory=str(value["directory"]),
            host=str(value["host"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def read_notes(out: Path) -> dict[Shard, Note | None]:
    """The shards of an output with their notes, without folders that hold nothing."""
    return {
        shard: read_note(shard, folder)
        for shard, folder in shard_folders(out).items()
        if not _is_empty(folder)
    }


def _is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing; a shard may have been killed before its first note was there."""
    nothing = (LOCK, part_path(folder / NOTE).name)
    return all(entry.name in nothing for entry in folder.iterdir())


def first_difference(one: Any, other: Any, keys: tuple[str, ...] = ()) -> str | None:
    """The first setting in which two shards differ, with both values; None if they are equal."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys((*one, *other)):
            found = first_difference(one.get(name), other.get(name), (*keys, str(name)))
            if found is not None:
                return found
        return None
    if one == other:
        return None
    texts = [
        text if len(text) <= 60 else f"{text[:28]}...{text[-28:]}"
        for text in map(str, (one, other))
    ]
    return f"{'.'.join(keys)} {texts[0]}, not {texts[1]}"


@dataclass
class OpenShard:
    """A shard that is being made."""

    folder: Path
    _note: Note

    def finish(self, units: int, found: Mapping[str, Any] | None = None) -> None:
        """Note that all of its units are done.

        Args:
            units: their number.
            found: what the merge needs to know besides the files; JSON.
        """
        self._note = replace(self._note, complete=True, units=units, found=dict(found or {}))
        self._note.write()


@contextmanager
def open_shard(
    shard: Shard,
    out: Path,
    kind: str,
    identity: Mapping[str, Any],
    *,
    is_file: bool = False,
    fresh: bool = False,
    option: str = "--out",
) -> Iterator[OpenShard]:
    """Claim the folder of a shard for this process; it is complete after ``OpenShard.finish``.

    Args:
        shard: which one.
        out: the output of the whole run.
        kind: what makes it.
        identity: everything that decides the output; JSON.
        is_file: whether the output is one file.
        fresh: discard what an earlier run of this shard left.
        option: how errors name ``out``.

    Raises:
        UserError: the folder cannot be written, another process makes this shard, or ``out`` has shards of
            another number, of another kind or with other settings.
    """
    # The same types as after reading.
    identity = json.loads(json.dumps({"x3spatial": x3spatial.__version__, **identity}))
    make_dir(out.parent if is_file else out, option)
    folder = shard.folder(out, is_file=is_file)
    _check_siblings(shard, out, kind, identity, fresh=fresh)
    own = folder.exists() and not _is_empty(folder)
    if own and read_note(shard, folder) is None and not fresh:
        raise UserError(
            f"{folder}: holds no {NOTE} that can be read; remove it, or add --fresh to make this shard again"
        )
    folder.mkdir(exist_ok=True)
    with lock_file(
        folder / LOCK,
        f"--shard {shard}: another x3 run makes this shard of {out}; wait for it or stop it",
    ):
        command = command_line.current()
        note = Note(
            shard, kind, identity, folder,
            command=None if command is None else tuple(map(_as_utf8, command)),
            directory=_as_utf8(os.getcwd()),  # noqa: PTH109
            host=platform.node(),
        )  # fmt: skip
        note.write()  # first: what is removed now is not complete any more
        if fresh:
            empty(folder, keep=(LOCK, NOTE))
        yield OpenShard(folder, note)


def _check_siblings(
    shard: Shard, out: Path, kind: str, identity: Mapping[str, Any], *, fresh: bool
) -> None:
    for other, note in read_notes(out).items():
        if other.n != shard.n:
            raise UserError(
                f"--shard {shard}: {out} has shards of {other.n} already ({shard_folders(out)[other].name});"
                f" use --shard K/{other.n}, or remove them"
            )
        if note is None or (fresh and other == shard):
            continue
        if note.merged:
            raise UserError(
                f"--shard {shard}: {out} is merged already; x3 merge {out} removes its shards"
            )
        if note.kind != kind:
            raise UserError(
                f"--shard {shard}: {out} has shards of x3 {note.kind}; choose another folder"
            )
        found = first_difference(note.identity, identity)
        if found is not None:
            whose = "the earlier run of this shard" if other == shard else f"shard {other}"
            raise UserError(
                f"--shard {shard}: {whose} in {out} has other settings ({found}); use the same"
                + (", or add --fresh" if other == shard else ", or another --out")
            )


def empty(folder: Path, *, keep: tuple[str, ...] = (LOCK,)) -> None:
    """Remove everything in a shard's folder but the names to ``keep``, the note last."""
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name == NOTE)
    for entry in entries:
        if entry.name in keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _as_utf8(name: str) -> str:
    """A name from the system, which need not be valid Unicode, for a message."""
    return name.encode(errors="replace").decode()


def digest(value: Any) -> str:
    """A short hash of a JSON value, for lists of inputs that must be the same in all shards."""
    return sha256_json(value)[:16]
