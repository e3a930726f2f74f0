"""Exports hold images and nothing else, the same bytes every time, and nothing of exports before them."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.export_sets import four_set
from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.cli import run
from x3spatial.exporters.manifest import NOTE
from x3spatial.exporters.registry import FORMATS
from x3spatial.exporters.run import export
from x3spatial.io.files import read_json

CHOICES = [(to, paths) for to, form in FORMATS.items() for paths in form.paths]


def stored_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".x3-lock"
    }


def with_tag(folder: Path, format: str, suffix: str) -> tuple[Path, Any]:
    """A task file whose query image has an orientation tag of 90 degrees; the pixels as stored."""
    record = make_record(folder, "01", box_mask(32, 24, 4, 5, 11, 10))
    random = np.random.default_rng(1)
    image = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = Path(record.images[1]).with_suffix(suffix)
    image.save(path, format, exif=exif)
    with Image.open(path) as again:
        pixels = np.asarray(again.convert("RGB"))
    changed = replace(record, image=(record.images[0], str(path)), query_original=str(path))
    return write_set(folder / "t1_val_multi.json", [changed]), pixels


def read_back(out: Path, to: str) -> list[Image.Image]:
    """The images of the only row, as loaders read them: orientation tags applied."""
    from PIL import ImageOps

    if to in ("trl", "hf-datasets", "hf-benchmark"):
        import datasets

        name = {
            "trl": "t1_val_multi.parquet",
            "hf-datasets": "t1_val_multi",
            "hf-benchmark": "t1_val_multi/validation-00000-of-00001.parquet",
        }[to]
        if to == "hf-datasets":
            rows = datasets.load_from_disk(str(out / name))
        else:
            rows = datasets.Dataset.from_parquet(str(out / name), cache_dir=str(out / "../cache"))
        return list(rows[0]["images"])
    if FORMATS[to].with_files:  # a folder per task file
        folder = out / "t1_val_multi"
        row = json.loads((folder / "questions.jsonl").read_text().splitlines()[0])
        return [ImageOps.exif_transpose(Image.open(folder / path)) for path in row["images"]]
    if to == "refspatial-bench":
        folder = out / "t1_val_multi"
        row = json.loads((folder / "question.json").read_text())[0]
        return [ImageOps.exif_transpose(Image.open(folder / path)) for path in row["rgb_path"]]
    name = f"t1_val_multi.{'jsonl' if to == 'ms-swift' else 'json'}"
    text = (out / name).read_text()
    row = json.loads(text) if to == "ms-swift" else json.loads(text)[0]
    paths = row.get("images") or row["image"]
    return [ImageOps.exif_transpose(Image.open(out / path)) for path in paths]


@pytest.mark.parametrize(
    ("format", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp")]
)
@pytest.mark.parametrize(("to", "paths"), CHOICES)
def test_every_export_holds_images_without_orientation_tags(
    tmp_path: Path, to: str, paths: str, format: str, suffix: str
) -> None:
    if to in ("trl", "hf-datasets", "hf-benchmark"):
        pytest.importorskip("datasets")
    source, pixels = with_tag(tmp_path / "data", format, suffix)
    before = stored_files(tmp_path / "data")
    out = tmp_path / "out"
    summary = export(source, out, to, paths=paths, point_format="unit")
    image = read_back(out, to)[1]
    assert image.size == (32, 24)
    assert image.getexif().get(0x0112) is None
    assert np.array_equal(np.asarray(image.convert("RGB")), pixels)
    assert summary.manifest["counts"]["orientation_tags_removed"] == 1
    assert stored_files(tmp_path / "data") == before
    assert not export(source, out, to, paths=paths, point_format="unit").written


def not_images(folder: Path) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    text = folder / "secret.png"
    text.write_text("root:x:0:0:root:/root:/bin/bash\n")
    link = folder / "link.png"
    link.symlink_to("/etc/passwd")
    fifo = folder / "fifo.png"
    os.mkfifo(fifo)
    empty = folder / "empty.png"
    empty.touch()
    cut = folder / "cut.png"
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "PNG")
    cut.write_bytes(file.getvalue()[:-20])
    return {
        "passwd": Path("/etc/passwd"), "text": text, "link": link, "fifo": fifo, "device": Path("/dev/zero"),
        "empty": empty, "cut": cut, "folder": folder,
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind", ["passwd", "text", "link", "fifo", "device", "empty", "cut", "folder"]
)
@pytest.mark.parametrize(
    ("to", "paths"), [("llava", "copy"), ("ms-swift", "absolute"), ("trl", "embed")]
)
def test_nothing_but_images_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str, paths: str, kind: str
) -> None:
    if to == "trl":
        pytest.importorskip("datasets")
    record = make_record(tmp_path / "data", "01", box_mask(32, 24, 4, 5, 11, 10))
    file = not_images(tmp_path / "hostile")[kind]
    source = write_set(tmp_path / "t.json", [replace(record, image=(str(file), record.images[1]))])
    out = tmp_path / "out"
    assert run(["export", str(source), "--to", to, "--paths", paths, "-o", str(out)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"image {file}" in line
    assert not any(b"root:" in data for data in stored_files(out).values())
    assert not (out / "images").exists() or not any((out / "images").iterdir())


def test_images_anywhere_are_copied(tmp_path: Path) -> None:
    record = make_record(tmp_path / "data", "01", box_mask(32, 24, 4, 5, 11, 10))
    other = tmp_path / "elsewhere" / ("long" * 60 + ".png")
    other.parent.mkdir()
    shutil.copy(record.images[0], other)
    images = ("../elsewhere/" + other.name, record.images[1])
    source = write_set(tmp_path / "t.json", [replace(record, image=images)])
    export(source, tmp_path / "out", "llava", paths="copy", image_folder=tmp_path / "data")
    (row,) = json.loads((tmp_path / "out/t.json").read_text())
    assert (tmp_path / "out" / row["image"][0]).read_bytes() == other.read_bytes()


@pytest.mark.parametrize(("to", "paths"), CHOICES)
def test_equal_exports_have_equal_bytes(tmp_path: Path, to: str, paths: str) -> None:
    if to in ("trl", "hf-datasets"):
        pytest.importorskip("datasets")
    source = four_set(tmp_path / "data")
    found = []
    for place in ("a/out", "b/out"):
        out = tmp_path / place
        export(source, out, to, paths=paths, point_format="unit")
        found.append(stored_files(out))
    assert found[0] == found[1]


DRIVER = """
import os, sys
from x3spatial.exporters.run import export
step, steps = int(sys.argv[1]), [0]
def watched(event, args):
    # Every change of the folder: an open for writing, a rename, a removal, a new folder.
    if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
        if sys.argv[3] in str(args[0]):
            steps[0] += 1
            if steps[0] == step:
                os._exit(9)
sys.addaudithook(watched)
export(sys.argv[2], sys.argv[3], sys.argv[4], paths=sys.argv[5], point_format="unit")
"""


def killed_export(step: int, source: Path, out: Path, to: str, paths: str) -> bool:
    """Export in another process that is killed before its N-th change of the folder; whether it was."""
    command = [sys.executable, "-c", DRIVER, str(step), str(source), str(out), to, paths]
    code = subprocess.run(command, timeout=120).returncode
    assert code in (0, 9)
    return code == 9


@pytest.mark.parametrize("step", [2, 3, 5, 8, 9, 10, 11, 12, 13, 14, 16, 18])
def test_nothing_of_an_earlier_export_stays_after_a_kill(tmp_path: Path, step: int) -> None:
    source = four_set(tmp_path / "data")
    export(source, tmp_path / "whole", "sharegpt", paths="absolute", point_format="unit")
    out = tmp_path / "out"
    export(source, out, "llava", paths="copy")
    (out / "images/mine-0123456789ab.png").write_bytes(b"of the user")
    (out / "notes.txt").write_text("of the user")
    was = killed_export(step, source, out, "ms-swift", "copy")
    killed_export(step + 1, source, out, "ms-swift", "copy")
    export(source, out, "sharegpt", paths="absolute", point_format="unit")
    found = stored_files(out)
    assert found.pop("images/mine-0123456789ab.png") == b"of the user"
    assert found.pop("notes.txt") == b"of the user"
    assert found == stored_files(tmp_path / "whole")
    assert was or step > 12


@pytest.mark.parametrize("step", [1, 4, 6, 8, 10, 12, 14, 15, 17, 20])
def test_a_killed_export_of_datasets_gives_the_same_bytes_when_it_is_run_again(
    tmp_path: Path, step: int
) -> None:
    pytest.importorskip("datasets")
    source = four_set(tmp_path / "data")
    export(source, tmp_path / "whole", "hf-datasets")
    out = tmp_path / "out"
    killed_export(step, source, out, "hf-datasets", "embed")
    export(source, out, "hf-datasets")
    assert stored_files(out) == stored_files(tmp_path / "whole")


@pytest.mark.parametrize("name", ["..", "../victim", "/tmp/victim", ".", "", "a/b", 5, None])
def test_a_note_of_others_deletes_nothing_elsewhere(tmp_path: Path, name: Any) -> None:
    source = four_set(tmp_path / "data")
    out = tmp_path / "deep/out"
    out.mkdir(parents=True)
    victim = tmp_path / "deep/victim"
    victim.write_text("stays")
    (out / NOTE).write_text(json.dumps({"files": [name]}))
    export(source, out, "llava")
    assert victim.read_text() == "stays"
    assert source.exists()
    assert read_json(out / "export.json")["options"]["to"] == "llava"
