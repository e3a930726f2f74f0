"""What ``x3 pack`` writes: columns, bytes, resuming, refusals."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import x3spatial as x3
from helpers.paths import FIXTURES
from helpers.roots import make_root
from packing.conftest import Packed
from x3spatial.builder.run import build_tasks
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.task_file import read_records
from x3spatial.io.images import read_bytes, read_mask, read_rgb
from x3spatial.packs.run import pack
from x3spatial.packs.sizes import parse_size

GOLDEN = Path(__file__).parent / "golden" / "columns.txt"
SMALL = "20K"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task file of six objects."""
    folder = tmp_path_factory.mktemp("many")
    root = make_root(folder / "root", splits=("validation",), objects=6)
    build_tasks(root, folder / "tasks", workers=1)
    return folder / "tasks" / "t1_val_multi.json"


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_columns(packed: Packed) -> None:
    shard = packed.set() / "part-00000.parquet"
    schema = pq.read_schema(shard)
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    lines = [f"{field.name}: {field.type}" for field in schema]
    lines += ["", *(f"{name}: {json.dumps(kind)}" for name, kind in features.items())]
    assert "\n".join(lines) + "\n" == GOLDEN.read_text()


def test_the_files_and_the_card(packed: Packed) -> None:
    names = set(files_of(packed.pack))
    sets = ("t1_train_multi", "t1_val_multi", "t2a_val_multi", "t2b_val_multi")
    assert names == {"README.md", "x3-pack.json"} | {
        f"{name}/{file}" for name in sets for file in ("index.parquet", "part-00000.parquet")
    }
    card = (packed.pack / "README.md").read_text()
    assert '- config_name: "t1_val_multi"' in card and "split: validation" in card
    assert "split: train" in card and "license:" not in card


def test_datasets_opens_it_with_images_in_the_rows(packed: Packed, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(
        str(packed.pack), "t1_val_multi", split="validation", cache_dir=str(tmp_path)
    )
    records = read_records(packed.json())
    records = ImagePaths(packed.json()).records(records)
    assert rows["id"] == [record.id for record in records]
    assert rows["answer"] == [record.answer for record in records]
    for row, record in zip(rows, records, strict=True):
        for image, path in zip(row["images"], record.images, strict=True):
            assert (np.asarray(image.convert("RGB")) == read_rgb(Path(path))).all()
        for name in ("ref_mask", "query_mask"):
            path = getattr(record, name)
            assert ((np.asarray(row[name]) > 0) == read_mask(Path(path))).all()


def test_each_image_is_stored_once(packed: Packed) -> None:
    records = ImagePaths(packed.json()).records(read_records(packed.json()))
    shown = [path for record in records for path in record.images]
    assert len(shown) > 3 * len(set(shown))
    data = (packed.set() / "part-00000.parquet").read_bytes()
    for path in set(shown):
        assert data.count(Path(path).read_bytes()) == 1, path
    named = {p for r in records for p in (*r.images, r.ref_original, r.ref_mask, r.query_mask) if p}
    named |= {p.replace("_dialated", "") for p in named}
    assert len(data) < 1.05 * sum(Path(path).stat().st_size for path in named) + 40_000


def test_the_same_bytes_from_any_number_of_workers(many: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        pack(many, tmp_path / str(workers), shard_size=SMALL, workers=workers)
    one = files_of(tmp_path / "1")
    assert one == files_of(tmp_path / "3")
    assert sum(name.endswith(".parquet") for name in one) > 3


def test_an_equal_pack_is_left_alone_and_a_changed_image_is_packed_again(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",))
    build_tasks(root, tmp_path / "tasks", workers=1)
    tasks, out = tmp_path / "tasks" / "t1_val_multi.json", tmp_path / "pack"
    assert pack(tasks, out).written
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert not pack(tasks, out).written
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    mask = next(root.rglob("01_*_mask.png"))
    mask.write_bytes(next(root.rglob("02_*_mask.png")).read_bytes())
    assert pack(tasks, out).written
    assert pack(tasks, out, shard_size="20K").written
    assert pack(tasks, out, shard_size="20K", license="mit").written
    assert '\nlicense: "mit"\n' in (out / "README.md").read_text()
    assert not any(path.name.startswith(".") for path in out.rglob("*"))


_KILLED = """
import os, signal, sys
from x3spatial.packs import output
real = output.Output.keep
done = 0
def keep(*args):
    global done
    real(*args)
    done += 1
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
output.Output.keep = keep
from x3spatial.packs.run import pack
pack(sys.argv[1], sys.argv[2], shard_size=sys.argv[4], workers=1)
"""


def test_a_run_that_was_killed_is_continued(many: Path, tmp_path: Path) -> None:
    whole = pack(many, tmp_path / "whole", shard_size=SMALL)
    shards = len(whole.manifest["sets"]["t1_val_multi"]["shards"])
    out = tmp_path / "out"
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(many), str(out), "2", SMALL], check=False
    )
    assert killed.returncode == -signal.SIGKILL and shards > 3
    with pytest.raises(x3.UserError, match="did not finish"):
        x3.read_tasks(out / "t1_val_multi")
    torn = out / "t1_val_multi" / "part-00001.parquet"
    torn.write_bytes(torn.read_bytes()[:-1] + b"?")  # a finished shard that is not what was noted
    again = pack(many, out, shard_size=SMALL)
    assert again.shards_kept == 1
    assert files_of(out) == files_of(tmp_path / "whole")


def test_orientation_tags_are_left_out_and_no_other_byte(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",), objects=1)
    build_tasks(root, tmp_path / "tasks", workers=1)
    tasks = tmp_path / "tasks" / "t1_val_multi.json"
    view = next(root.rglob("02_*_original.png"))
    with Image.open(view) as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(view, exif=exif, compress_level=1)
    made = pack(tasks, tmp_path / "pack")
    assert made.manifest["sets"]["t1_val_multi"]["orientation_tags_removed"] == 1
    path = ImagePaths(tmp_path / "pack").find(
        next(p for r in read_records(tmp_path / "pack") for p in r.images if p.endswith(view.name))
    )
    with Image.open(io.BytesIO(read_bytes(Path(path)))) as packed_image:
        assert not packed_image.getexif()
    assert (read_rgb(Path(path)) == read_rgb(view)).all()


def test_records_of_other_builders_keep_masks_that_only_names_tell(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",), objects=1)
    folder = next(root.rglob("uid_0"))
    one, two = sorted(folder.glob("*_original.png"))[:2]
    record = {
        "id": "a", "image": [str(one), str(two)], "extra": {"kept": [1, 2.5]},
        "conversations": [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "[(0.4, 0.3)]"}],
    }  # fmt: skip
    far = tmp_path / "elsewhere" / "flat.png"
    far.parent.mkdir()
    shutil.copy(one, far)
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps([record, {**record, "id": "b", "image": [str(far), str(two)]}]))
    pack(tasks, tmp_path / "pack")
    for source in (tasks, tmp_path / "pack"):
        x3.evaluate(source, tmp_path / f"r-{source.stem}.json", "centre")
    one_file, other = (x3.read_results(tmp_path / f"r-{n}.json") for n in ("tasks", "pack"))
    assert one_file.metrics == other.metrics and one_file.metrics["hit_at_mask_total"] == 2
    row = pq.read_table(tmp_path / "pack" / "tasks" / "part-00000.parquet").to_pylist()[0]
    assert json.loads(row["record"])["extra"] == {"kept": [1, 2.5]}
    assert row["images"][0]["path"].startswith("validation/") and row["query_mask"] is not None


def test_an_empty_set(tmp_path: Path, packed: Packed) -> None:
    (tmp_path / "none.json").write_text("[]")
    assert pack(tmp_path / "none.json", tmp_path / "pack").samples == 0
    assert x3.read_tasks(tmp_path / "pack") == []


def test_a_pack_of_a_pack_is_the_same(packed: Packed, tmp_path: Path) -> None:
    made = pack([packed.set(), packed.set("t2b_val_multi")], tmp_path / "again")
    for name in made.manifest["sets"]:
        assert files_of(packed.set(name)) == files_of(tmp_path / "again" / name)
    assert x3.read_tasks(packed.set()) == x3.read_tasks(tmp_path / "again" / "t1_val_multi")


def test_one_set_of_a_pack_is_replaced_and_the_card_of_a_user_is_not(
    packed: Packed, tmp_path: Path
) -> None:
    out = shutil.copytree(packed.pack, tmp_path / "pack")
    (out / "notes.txt").write_text("mine")
    pack(packed.json(), out)
    assert {p.name for p in out.iterdir()} == {
        "README.md",
        "x3-pack.json",
        "t1_val_multi",
        "notes.txt",
    }
    (out / "README.md").write_text("my card")
    with pytest.raises(
        x3.UserError, match=r"README\.md: was not written by x3 pack, or edited since"
    ):
        pack(packed.json(), out, fresh=True)
    assert (out / "README.md").read_text() == "my card" and (out / "x3-pack.json").exists()


def test_what_others_wrote_is_not_replaced(packed: Packed, tmp_path: Path) -> None:
    mine = tmp_path / "t1_val_multi" / "part-00000.parquet"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(
        x3.UserError, match=r"holds t1_val_multi/part-00000\.parquet, which x3 pack did not"
    ):
        pack(packed.json(), tmp_path)
    assert mine.read_text() == "mine" and len(list(tmp_path.iterdir())) <= 2


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",), objects=1)
    build_tasks(root, tmp_path / "tasks", workers=1)
    tasks = tmp_path / "tasks" / "t1_val_multi.json"
    view = next(root.rglob("02_*_original.png"))
    data = view.read_bytes()
    view.write_bytes(data[:100])
    with pytest.raises(x3.UserError, match=rf"{view.name}: PNG is cut short"):
        pack(tasks, tmp_path / "pack")
    view.unlink()
    with pytest.raises(
        x3.UserError, match=rf"record T1_MULTI.*{view.name} is missing, and a pack holds"
    ):
        pack(tasks, tmp_path / "pack")
    assert not (tmp_path / "pack" / "x3-pack.json").exists()
    view.write_bytes(data)
    assert pack(tasks, tmp_path / "pack").written


def test_the_root_may_have_moved(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",), objects=1)
    build_tasks(root, tmp_path / "tasks", workers=1)
    tasks = tmp_path / "tasks" / "t1_val_multi.json"
    pack(tasks, tmp_path / "one")
    root.rename(tmp_path / "moved")
    pack(tasks, tmp_path / "two", image_root=tmp_path / "moved")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.parametrize(
    ("given", "size"),
    [("500M", 500_000_000), ("1.5G", 1_500_000_000), ("64KB", 64_000), ("2000", 2000)],
)
def test_sizes(given: str, size: int) -> None:
    assert parse_size(given, "--shard-size") == size


@pytest.mark.parametrize("given", ["", "M", "-1M", "1T", "10", "nan", "1e6"])
def test_sizes_that_are_none(given: str) -> None:
    with pytest.raises(x3.UserError, match="--shard-size"):
        parse_size(given, "--shard-size")


@pytest.mark.parametrize("licence", ["", "cc by", "x\ny: z", "MIT"])
def test_a_licence_is_an_identifier(packed: Packed, tmp_path: Path, licence: str) -> None:
    with pytest.raises(x3.UserError, match="--license"):
        pack(packed.json(), tmp_path / "pack", license=licence)
    assert not (tmp_path / "pack").exists()


def test_sets_need_names_of_their_own(packed: Packed, tmp_path: Path) -> None:
    for name in ("two/t1_val_multi.json", "a name.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("[]")
    with pytest.raises(x3.UserError, match="has the same name"):
        pack([packed.json(), tmp_path / "two" / "t1_val_multi.json"], tmp_path / "pack")
    with pytest.raises(x3.UserError, match="cannot name a set"):
        pack(tmp_path / "a name.json", tmp_path / "pack")
    with pytest.raises(x3.UserError, match="is a folder"):
        pack(FIXTURES, tmp_path / "pack")
