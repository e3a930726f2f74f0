"""Output of a build, and its independence of workers, order and interruptions."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.roots import box_mask, make_root, tree_bytes, write_view
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.builder.summary import BuildSummary
from x3spatial.errors import UserError
from x3spatial.io.images import decode_mask, read_mask, read_rgb
from x3spatial.tasks.answers import AnswerKind, parse_unit
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, hits


def build(
    root: Path, out: Path, workers: int = 1, fresh: bool = False, **options: Any
) -> BuildSummary:
    return build_tasks(
        data_root=root, out_dir=out, options=BuildOptions(**options), workers=workers, fresh=fresh
    )


def records(out: Path, name: str) -> list[dict[str, Any]]:
    value = json.loads((out / name).read_text())
    assert isinstance(value, list)
    return value


def comparable(out: Path) -> dict[str, bytes]:
    """All files of a build; the manifest without its ``run`` object."""
    files = tree_bytes(out)
    manifest = json.loads(files.pop("build.json"))
    run = manifest.pop("run")
    assert set(run) == {"seconds", "workers", "host", "python"}
    return {**files, "build.json": json.dumps(manifest).encode()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


def test_writes_the_eight_files_one_record_per_line(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(root, out)
    names = sorted(path.name for path in out.glob("t*.json"))
    assert names == sorted(
        f"{task}_{split}_{form}.json"
        for split in ("train", "val")
        for task, form in (("t1", "multi"), ("t1", "concat"), ("t2a", "multi"), ("t2b", "multi"))
    )
    for name in names:
        lines = (out / name).read_text().splitlines()
        assert lines[0] == "[" and lines[-1] == "]"
        assert len(lines) - 2 == len(records(out, name)) > 0
    manifest = json.loads((out / "build.json").read_text())
    assert manifest["counts"]["train"]["samples"] == {
        "t1_multi": 4,
        "t1_concat": 4,
        "t2a_multi": 2,
        "t2b_multi": 4,
    }
    assert manifest["skipped"] == []


@pytest.mark.parametrize("mode", ["anchor", "allpairs"])
@pytest.mark.parametrize("dilated", [False, True])
def test_every_ground_truth_hits_its_own_mask(
    mode: str, dilated: bool, small_root: Path, tmp_path: Path
) -> None:
    build(small_root, tmp_path, mode=mode, use_dilated_mask=dilated)
    seen = 0
    for path in tmp_path.glob("t*.json"):
        for record in records(tmp_path, path.name):
            mask = read_mask(Path(record["query_mask"]))
            assert record["query_mask_kind"] == ("dilated" if dilated else "tight")
            assert record["mask_area_fraction"] == pytest.approx(mask.mean(), abs=1e-6)
            answer = parse_unit(record["conversations"][1]["value"])
            assert "<image>" not in record["conversations"][0]["value"]
            assert (answer.kind is AnswerKind.NOT_VISIBLE) == (not mask.any())
            frame = Frame.CONCAT_RIGHT if record["task"] == "t1_concat" else Frame.IMAGE
            if answer.point is not None:
                assert frame.contains(answer.point)
                assert hits(mask, frame.to_local(answer.point))
                seen += 1
            if record["task"] == "t1_concat":
                reference = Point(*record["reference_point"])
                assert Frame.CONCAT_LEFT.contains(reference)
                local = Frame.CONCAT_LEFT.to_local(reference)
                assert hits(read_mask(Path(record["ref_mask"])), local)
                text = record["conversations"][0]["value"]
                assert f"({reference.x:.3f}, {reference.y:.3f})" in text
                assert str(reference.x) not in record["question"]
    assert seen > 30


def test_marked_image_is_red_on_the_mask_and_untouched_elsewhere(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build(root, out, alpha=0.45)
    record = records(out, "t1_val_multi.json")[0]
    marked = read_rgb(Path(record["image"][0])).astype(int)
    original = read_rgb(Path(record["ref_original"])).astype(int)
    mask = read_mask(Path(record["ref_mask"]))
    assert (marked[~mask] == original[~mask]).all()
    blended = 0.55 * original[mask] + 0.45 * np.array([255, 0, 0])
    assert np.abs(marked[mask] - blended).max() <= 0.5
    only_references = sorted(path.name for path in (out / "marked_abs").rglob("*.png"))
    assert set(only_references) == {"01_000010_marked.png"}


def test_concat_halves_have_the_exact_size_for_views_of_different_sizes(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "validation" / "s" / "uid_1"
    write_view(folder, 1, box_mask(4, 4, 9, 9))
    write_view(folder, 2, box_mask(60, 50, 79, 69, 128, 100))
    out = tmp_path / "out"
    build(tmp_path / "root", out, jpeg_quality=100)
    (record,) = records(out, "t1_val_concat.json")
    image = read_rgb(Path(record["image"])).astype(int)
    assert image.shape == (48, 128, 3)
    assert record["image_sizes"] == [[128, 48]]
    left = read_rgb(Path(record["ref_original"])).astype(int)
    assert np.abs(image[:, :64] - left).mean() < 6
    answer = parse_unit(record["conversations"][1]["value"]).point
    assert answer is not None
    assert hits(read_mask(Path(record["query_mask"])), Frame.CONCAT_RIGHT.to_local(answer))


def test_a_changed_parameter_rebuilds_and_removes_outdated_files(
    root: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    build(root, out, mode="allpairs", alpha=0.3)
    assert len(list((out / "marked_abs").rglob("*.png"))) == 8
    build(root, out, alpha=0.8, emit_concat=False)
    build(root, other, alpha=0.8, emit_concat=False)
    assert set(comparable(out)) == set(comparable(other))
    for name, data in comparable(other).items():
        if name.endswith(".png"):
            assert comparable(out)[name] == data, "a stale marked image was reused"
    assert not (out / "concat_abs").exists()
    assert not (out / "t1_val_concat.json").exists()


def test_a_repeated_build_writes_nothing(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(root, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if ".x3" not in path.name}
    assert build(root, out).objects_built == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_manifest_is_on_the_disk_before_the_build_ends(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = set()
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    build(root, tmp_path / "out")
    assert (tmp_path / "out" / "build.json").stat().st_ino in synced


def test_changed_input_or_missing_output_rebuilds_only_that_object(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build(root, out)
    folder = root / "train" / "train_0" / "uid_0"
    write_view(folder, 2, box_mask(1, 1, 4, 4), seed=5)
    assert build(root, out).objects_built == 1
    next((out / "marked_abs").rglob("*.png")).unlink()
    assert build(root, out).objects_built == 1
    (out / "t1_val_multi.json").write_text("[]")
    assert build(root, out).objects_built == 0
    assert len(records(out, "t1_val_multi.json")) == 4
    shutil.rmtree(folder)
    build(root, out)
    assert not list((out / "marked_abs").rglob("train_0/uid_0/*"))


def test_same_bytes_for_any_workers_and_any_order_on_disk(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", scenes=2, objects=3)
    out = tmp_path / "out"
    results = []
    for workers in (1, 2, 5):
        build(root, out, workers=workers, fresh=True)
        results.append(comparable(out))
    shuffled = tmp_path / "shuffled"
    files = [path for path in root.rglob("*") if path.is_file()]
    random.Random(1).shuffle(files)
    for path in files:
        target = shuffled / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    shutil.rmtree(root)
    shuffled.rename(root)
    build(root, out, workers=2, fresh=True)
    results.append(comparable(out))
    assert all(result == results[0] for result in results)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_and_resumed_build_gives_the_same_bytes(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", scenes=4, objects=10, views=5)
    out = tmp_path / "out"
    arguments = ["--data-root", str(root), "--out-dir", str(out), "--mode", "allpairs"]
    command = [sys.executable, "-m", "x3spatial", "build", *arguments, "--workers", "2"]
    subprocess.run(command, check=True, capture_output=True)
    whole = comparable(out)
    shutil.rmtree(out)
    kills, finished_between = 0, set()
    for wanted in (1, 12, 30, 55, 70):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        journal = out / ".x3-build.jsonl"
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
                os.kill(process.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        kills += process.wait() == -signal.SIGKILL
        if (out / "build.json").exists():
            break
        finished_between.add(journal.read_bytes().count(b"\n"))
    assert kills >= 3 and len(finished_between) >= 3
    last = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "(80 built now)" not in last.stdout, "it started over"
    assert comparable(out) == whole
    assert not list(out.rglob(".*.part"))


def test_an_incomplete_journal_line_is_dropped(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(root, out)
    whole = comparable(out)
    journal = out / ".x3-build.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    (out / "build.json").unlink()
    assert build(root, out).objects_built == 1
    assert comparable(out) == whole


def test_a_build_killed_after_a_change_of_parameters_leaves_no_wrong_image(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build(root, out, alpha=0.3)
    whole = comparable(out)
    # Another alpha; killed between overwriting an image with one of equal size and the journal line.
    killed = (
        "import os, sys; from pathlib import Path\n"
        "from x3spatial.builder import object_images, run\n"
        "from x3spatial.builder.options import BuildOptions\n"
        "def half(path, data):\n"
        "    path.write_bytes(path.read_bytes()[::-1]); os._exit(9)\n"
        "object_images.write_bytes = half\n"
        "run.build_tasks(data_root=Path(sys.argv[1]), out_dir=Path(sys.argv[2]),"
        " options=BuildOptions(alpha=0.8), workers=1)"
    )
    done = subprocess.run([sys.executable, "-c", killed, str(root), str(out)], check=False)
    assert done.returncode == 9
    build(root, out, alpha=0.3)
    assert comparable(out) == whole


def test_another_run_in_the_same_folder_is_refused(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    holder = (
        "import sys, time; from pathlib import Path;"
        "from x3spatial.io.locks import lock_dir\n"
        "with lock_dir(Path(sys.argv[1]), '--out-dir'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(out)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        with pytest.raises(UserError, match="another x3 run"):
            build(root, out)
    finally:
        process.kill()
        process.communicate()


def test_the_draw_depends_on_the_sample_only(tmp_path: Path) -> None:
    ring = box_mask(10, 10, 30, 30) & ~box_mask(13, 13, 27, 27)
    for root, uids in ((tmp_path / "a", "12"), (tmp_path / "b", "2")):
        for uid in uids:
            for rank in (1, 2):
                write_view(root / "validation" / "s" / f"uid_{uid}", rank, ring)
    build(tmp_path / "a", tmp_path / "out_a", seed=3)
    build(tmp_path / "b", tmp_path / "out_b", seed=3)
    build(tmp_path / "b", tmp_path / "out_c", seed=4)
    answers = [
        {
            r["id"]: r["conversations"][1]["value"]
            for r in records(tmp_path / out, "t2b_val_multi.json")
        }
        for out in ("out_a", "out_b", "out_c")
    ]
    assert answers[1].items() <= answers[0].items()
    assert answers[1] != answers[2]


def test_split_names_limits_and_empty_validation(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("train", "test"), objects=3)
    out = tmp_path / "out"
    summary = build(root, out, limit=1)
    assert summary.manifest["counts"]["test"]["objects"] == 1
    assert records(out, "t1_val_multi.json") == []
    assert records(out, "t2b_val_multi.json") == []
    assert len(records(out, "t1_test_multi.json")) == 2
    build(root, out, splits=("test",))
    assert sorted(path.name for path in out.glob("t*.json")) == [
        "t1_test_concat.json",
        "t1_test_multi.json",
        "t2a_test_multi.json",
        "t2b_test_multi.json",
    ]


def test_train_files_of_task2_are_left_out_when_empty(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", views=2)
    for path in root.rglob("*_inpainted.png"):
        if "train" in path.parts:
            path.unlink()
    out = tmp_path / "out"
    summary = build(root, out)
    assert not (out / "t2a_train_multi.json").exists()
    assert not (out / "t2b_train_multi.json").exists()
    assert records(out, "t2a_val_multi.json") == []
    assert summary.manifest["skipped_total"] == 4


def test_replaced_prompts_are_used_and_named_in_the_manifest(root: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "t2b_multi.txt").write_text("[question]\nWhat is gone?\n[format]\nPoint.\n")
    out = tmp_path / "out"
    first = build(root, out).manifest["prompts"]
    second = build(root, out, prompts=prompts).manifest["prompts"]
    assert first["t1_multi"] == second["t1_multi"] != second["t2b_multi"]
    record = records(out, "t2b_val_multi.json")[0]
    assert record["conversations"][0]["value"] == "What is gone?\nPoint."
    assert record["question"] == "What is gone?"


def test_label_comes_from_the_five_frames_file(root: Path, tmp_path: Path) -> None:
    folder = root / "validation" / "validation_0" / "uid_0"
    (folder / "validation_0_uid_0_five_frames.json").write_text('{"label": "chair"}')
    out = tmp_path / "out"
    build(root, out)
    labels = {r["uid"]: r["label"] for r in records(out, "t1_val_multi.json")}
    assert labels == {"0": "chair", "1": None}


def test_sixteen_bit_masks_keep_small_values(tmp_path: Path) -> None:
    import cv2

    mask = box_mask(10, 10, 19, 19)
    data = cv2.imencode(".png", mask.astype(np.uint16))[1].tobytes()
    assert (decode_mask(data) == mask).all()
