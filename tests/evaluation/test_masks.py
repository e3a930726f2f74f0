"""Which mask is taken, and what happens where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.task_sets import box_mask, make_record
from x3spatial.errors import UserError
from x3spatial.evaluation.options import check_mask_choice
from x3spatial.evaluation.scoring import masks as masks_module
from x3spatial.evaluation.scoring.masks import MaskFinder
from x3spatial.formats.results_file import MaskChoice
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import encode_mask_png, read_mask

TIGHT = box_mask(20, 16, 6, 6, 9, 9)
DILATED = box_mask(20, 16, 4, 4, 11, 11)


def chosen(record: TaskRecord, choice: MaskChoice, folder: Path | None = None) -> str:
    masks = MaskFinder(choice, folder).masks(record)
    if masks.chosen is None:
        assert masks.problem is not None
        return masks.problem[1]
    return {16: "tight", 64: "dilated"}[int(masks.chosen.sum())]


@pytest.mark.parametrize("task", ["t1_multi", "t2b_multi", "t1_concat"])
def test_choices_with_a_named_mask(tmp_path: Path, task: str) -> None:
    record = make_record(tmp_path, "01", TIGHT, dilated=DILATED, task=task)
    assert chosen(record, "auto") == "tight"  # what the record says, not the name rule
    assert chosen(record, "tight") == "tight"
    assert chosen(record, "dilated") == "dilated"


def test_name_rules_without_a_named_mask(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", TIGHT, dilated=DILATED, named=False)
    assert chosen(record, "auto") == "dilated"
    assert chosen(record, "tight") == "tight"
    assert int(MaskFinder("auto", None).masks(record).tight.sum()) == 16  # type: ignore[union-attr]
    plain = make_record(tmp_path, "02", TIGHT, named=False)
    assert chosen(plain, "auto") == "tight"
    assert chosen(plain, "dilated") == "file is missing"  # no other kind in its place


def test_both_spellings(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", TIGHT, named=False)
    place = Path(record.query_original or "").parent
    (place / "01_mask_dilated.png").write_bytes(encode_mask_png(DILATED))
    assert chosen(record, "auto") == "dilated"


def test_a_query_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "b.png").touch()
    (tmp_path / "b_mask.png").write_bytes(encode_mask_png(TIGHT))
    record = TaskRecord(
        id="i", task="t1_multi", image=("a.png", "b.png"), prompt="?", answer="[(0.4, 0.5)]"
    )
    assert chosen(record, "auto", tmp_path) == "tight"


def test_a_named_mask_that_is_gone_or_damaged_is_reported(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", TIGHT, dilated=DILATED)
    path = Path(record.query_mask or "")
    path.write_bytes(path.read_bytes()[:40])
    masks = MaskFinder("auto", None).masks(record)
    assert masks.chosen is None
    assert masks.problem is not None
    assert masks.problem[0] == str(path)
    path.unlink()
    assert chosen(record, "auto") == "file is missing"


def test_the_mask_is_read_in_its_own_grid(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", TIGHT)
    small = np.zeros((4, 4), dtype=bool)
    Path(record.query_mask or "").write_bytes(encode_mask_png(small))
    masks = MaskFinder("auto", None).masks(record)
    assert masks.chosen is not None
    assert masks.chosen.shape == (4, 4)


def test_the_masks_used_last_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def counted(path: Path) -> np.ndarray:
        read.append(path)
        return read_mask(path)

    monkeypatch.setattr(masks_module, "read_mask", counted)
    a, b, c, d, e = (make_record(tmp_path, name, TIGHT) for name in ("01", "02", "03", "04", "05"))
    finder = MaskFinder("auto", None, capacity=2)
    for record in (a, b, a, c, a):  # c takes the place of b, which was used before a
        assert finder.masks(record).chosen is not None
    assert read == [Path(record.query_mask or "") for record in (a, b, c)]
    for record in (d, e, b):  # b was given up
        finder.masks(record)
    assert len(read) == 6


def test_no_query_at_all() -> None:
    record = TaskRecord(id="i", task="t1_concat", image="ab.jpg", prompt="?", answer="[(0.7, 0.5)]")
    assert "names no query" in chosen(record, "auto")


def test_unknown_choice() -> None:
    with pytest.raises(UserError, match="--mask both"):
        check_mask_choice("both")
