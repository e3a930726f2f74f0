"""Packs that are incomplete, changed or foreign: one line that names the file."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import x3spatial as x3
from packing.conftest import Packed

SHARD = "t1_val_multi/part-00000.parquet"
INDEX = "t1_val_multi/index.parquet"
MANIFEST = "x3-pack.json"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def zeroed(file: Path) -> None:
    """Other bytes of the same length, in the middle."""
    data = bytearray(file.read_bytes())
    data[300:-300] = bytes(len(data) - 600)
    file.write_bytes(data)


def manifest(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def edit(file: Path) -> None:
        value = json.loads(file.read_text())
        change(value)
        file.write_text(json.dumps(value))

    return edit


DAMAGE = {
    "shard cut": (SHARD, cut, r"part-00000\.parquet: has [\d,]+ bytes, [\d,]+ were written"),
    "shard missing": (SHARD, Path.unlink, r"part-00000\.parquet: is missing; the pack is incomplete"),
    "shard changed": (SHARD, zeroed, r"part-00000\.parquet: is damaged or was not written by x3 pack"),
    "index missing": (INDEX, Path.unlink, r"index\.parquet: is missing"),
    "index changed": (INDEX, zeroed, r"index\.parquet: is damaged"),
    "manifest cut": (MANIFEST, cut, r"x3-pack\.json: is not a manifest of x3 pack"),
    "manifest foreign": (MANIFEST, lambda file: file.write_text("[1]"), r"x3-pack\.json: is not a manifest"),
    "manifest later": (MANIFEST, manifest(lambda v: v.update(format=99)), "has format 99"),
    "manifest wrong": (MANIFEST, manifest(lambda v: v.update(sets={"t1_val_multi": {}})),
                       r"x3-pack\.json: is damaged"),
    "manifest leaves": (
        MANIFEST,
        manifest(lambda v: v["sets"]["t1_val_multi"]["index"].update(file="../../x")),  # type: ignore[index]
        r"x3-pack\.json: is damaged",
    ),
    "manifest missing": (MANIFEST, Path.unlink, "did not finish"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_one_line(packed: Packed, tmp_path: Path, what: str) -> None:
    name, damage, message = DAMAGE[what]
    copy = shutil.copytree(packed.pack, tmp_path / "pack")
    damage(copy / name)  # type: ignore[operator]
    with pytest.raises(x3.UserError) as caught:
        x3.evaluate(copy / "t1_val_multi", tmp_path / "r.json", "sift")
    assert re.search(message, str(caught.value)), caught.value
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)
    assert not (tmp_path / "r.json").exists()


def test_an_image_that_was_changed_in_place_is_noticed(packed: Packed, tmp_path: Path) -> None:
    copy = shutil.copytree(packed.pack, tmp_path / "pack")
    shard = copy / SHARD
    data = bytearray(shard.read_bytes())
    place = data.index(b"IDAT") + 40
    data[place] ^= 1
    shard.write_bytes(data)
    with pytest.raises(
        x3.UserError, match=r"part-00000\.parquet: is damaged.*has other bytes than were packed"
    ):
        x3.export(copy / "t1_val_multi", tmp_path / "out", "llava", paths="copy")


def test_a_pack_that_is_packed_anew_is_opened_anew(packed: Packed, tmp_path: Path) -> None:
    x3.pack(packed.json(), tmp_path / "pack")
    first = x3.read_tasks(tmp_path / "pack" / "t1_val_multi")
    values = json.loads(packed.json().read_text())[:3]
    (tmp_path / "t1_val_multi.json").write_text(json.dumps(values))
    x3.pack(tmp_path / "t1_val_multi.json", tmp_path / "pack")
    assert x3.read_tasks(tmp_path / "pack" / "t1_val_multi") == first[:3]
    x3.evaluate(tmp_path / "pack", tmp_path / "r.json", "sift")


@pytest.mark.parametrize("below", ["", "data"])
def test_foreign_parquet(packed: Packed, tmp_path: Path, below: str) -> None:
    folder = tmp_path / "foreign" / below
    folder.mkdir(parents=True)
    shutil.copy(packed.set() / "part-00000.parquet", folder)
    with pytest.raises(x3.UserError, match=r"holds Parquet files but no x3-pack\.json"):
        x3.read_tasks(folder)
    with pytest.raises(x3.UserError, match="is a Parquet file; name its set"):
        x3.read_tasks(folder / "part-00000.parquet")


def test_a_set_that_the_pack_does_not_have(packed: Packed) -> None:
    with pytest.raises(x3.UserError, match="t9_none: no such task file"):
        x3.read_tasks(packed.pack / "t9_none")


def test_without_pyarrow(packed: Packed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (
        lambda: x3.read_tasks(packed.set()),
        lambda: x3.pack(packed.json(), tmp_path / "pack"),
    ):
        with pytest.raises(
            x3.UserError, match=r"'pyarrow' is not installed; run: pip install .x3spatial\[pack\]"
        ):
            call()
