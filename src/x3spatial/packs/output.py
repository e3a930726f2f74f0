"""The folder that a pack is written to: what is ours in it, finished shards, and the last files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, sha256_file
from x3spatial.io.locations import Folder, LocalFolder
from x3spatial.io.locks import LOCK, lock_dir
from x3spatial.io.packs import MANIFEST, read_manifest
from x3spatial.packs.card import CARD
from x3spatial.packs.shard import MemberPlace, WrittenShard

NOTE = ".x3-pack.json"
"""What a pack that is being written may replace; removed when it is finished."""
INDEX = "index.parquet"
_OURS = re.compile(
    r"(part-\d{5}\.parquet|\.part-\d{5}\.(?:parquet\.part|json|json\.part|parquet)|\.?index\.parquet(?:\.part)?)"
)
"""Names of files in the folder of a set."""


def shard_name(set_name: str, number: int) -> str:
    """The name of a shard in its pack."""
    return f"{set_name}/part-{number:05}.parquet"


def _note_name(set_name: str, number: int) -> str:
    return f"{set_name}/.part-{number:05}.json"


def _files_of(sets: Collection[str], names: Collection[str]) -> set[str]:
    """Those of ``names`` that are files of ours in the folders of ``sets``."""
    parts = {name: name.partition("/") for name in names}
    return {
        name for name, (top, _, below) in parts.items() if top in sets and _OURS.fullmatch(below)
    }


class Output:
    """A pack that is being written.

    Args:
        folder: where to.
        sets: the names of its sets.

    Raises:
        UserError: something else lies there.
    """

    def __init__(self, folder: Folder, sets: Collection[str]) -> None:
        self.folder = folder
        self._sets = list(sets)
        found = read_manifest(folder)
        self.manifest: dict[str, Any] | None = None if found is None else found[1]
        self._note = self._read(NOTE)
        ours = {*(self.manifest or {}).get("sets", {}), *(self._note or {}).get("sets", ())}
        before = folder.names()
        self._stale = _files_of(ours, before)
        for name in sorted(before - self._stale):
            if name.partition("/")[0] in sets:
                raise UserError(
                    f"--out {folder.place}: holds {name}, which x3 pack did not write; choose another folder"
                )
        if CARD in before:
            self._check_card()

    def _check_card(self) -> None:
        """Refuse to replace a card that somebody wrote or edited."""
        about = [side.get("card") or {} for side in (self.manifest, self._note) if side]
        digest = hashlib.sha256(self.folder.read(CARD)).hexdigest()
        if digest not in {each.get("sha256") for each in about}:
            raise UserError(
                f"{self.folder.named(CARD)}: was not written by x3 pack, or edited since; move it away, or"
                " choose another --out"
            )

    def begin(self, settings: dict[str, Any], *, fresh: bool) -> None:
        """Note what is about to be written; without a manifest the folder does not count as a pack."""
        earlier = self._note or {}
        card = (self.manifest or {}).get("card") or earlier.get("card")
        sets = {*(self.manifest or {}).get("sets", {}), *earlier.get("sets", ()), *self._sets}
        self._note = {"written_by": "x3 pack", "sets": sorted(sets), "card": card, **settings}
        self._write(NOTE, self._note)
        self.folder.remove(MANIFEST)
        if fresh:
            for name in sorted(self._stale):
                self.folder.remove(name)

    def finished(self, set_name: str, number: int, fingerprint: str) -> WrittenShard | None:
        """A shard that an earlier run finished from the same input; None if there is none.

        On this machine its bytes are hashed; behind a URL its size is compared.
        """
        note = self._read(_note_name(set_name, number))
        if note is None or note.get("fingerprint") != fingerprint:
            return None
        try:
            members = tuple(MemberPlace(*entry) for entry in note["members"])
            shard = WrittenShard(
                note["rows"], note["bytes"], note["sha256"], members, note["tags_removed"]
            )
        except (KeyError, TypeError):
            return None
        name = shard_name(set_name, number)
        if self.folder.size(name) != shard.bytes:
            return None
        if isinstance(self.folder, LocalFolder):
            return shard if sha256_file(self.folder.path / name) == shard.sha256 else None
        return shard

    def keep(self, set_name: str, number: int, fingerprint: str, shard: WrittenShard) -> None:
        """Note that a shard is finished."""
        members = [[m.name, m.offset, m.size, m.crc32] for m in shard.members]
        value = {**asdict(shard), "members": members, "fingerprint": fingerprint}
        self._write(_note_name(set_name, number), value)

    def finish(self, manifest: dict[str, Any], card: str) -> None:
        """Write the card and, last, the manifest; remove what is no longer used."""
        data = card.encode()
        about = {"file": CARD, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self._write(NOTE, {**(self._note or {}), "card": about})
        self.folder.write(CARD, data)
        wanted = {
            stored["file"]
            for each in manifest["sets"].values()
            for stored in (*each["shards"], each["index"])
        }
        # Notes of this run's shards too, and what a killed run left.
        for name in sorted((self._stale | _files_of(self._sets, self.folder.names())) - wanted):
            self.folder.remove(name)
        self._write(MANIFEST, {**manifest, "card": about})
        self.folder.remove(NOTE)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads(self.folder.read(name))
        except (FileNotFoundError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def _write(self, name: str, value: Any) -> None:
        text = json.dumps(value, indent=None if "/" in name else 2, ensure_ascii=False)
        self.folder.write(name, f"{text}\n".encode())


@contextmanager
def claimed(folder: Folder) -> Iterator[None]:
    """The folder is made and locked for this run, if it is one of this machine.

    Raises:
        UserError: it cannot be written, or another run writes there.
    """
    if not isinstance(folder, LocalFolder):
        yield
        return
    make_dir(folder.path, "--out")
    with lock_dir(folder.path, "--out"):
        yield
    (folder.path / LOCK).unlink(missing_ok=True)
