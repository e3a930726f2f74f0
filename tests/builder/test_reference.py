"""Agreement with an independent reference implementation, except for its known faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.paths import FIXTURES
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.io.images import read_mask
from x3spatial.tasks.answers import parse_unit

REFERENCE = json.loads((FIXTURES / "x3-small" / "reference_answers.json").read_text())


def centre_in_mask(path: Path) -> bool:
    mask = read_mask(path)
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        return False
    x, y = (columns.min() + columns.max() + 1) // 2, (rows.min() + rows.max() + 1) // 2
    return bool(mask[y, x])


def has_empty_mask(record_image: str, root: Path) -> bool:
    """Return whether the view of a marked image has an empty mask."""
    relative = record_image.removeprefix("marked_abs/").replace("_marked.png", "_mask_dialated.png")
    return not read_mask(root / relative).any()


@pytest.mark.parametrize("mode", ["anchor", "allpairs"])
def test_agrees_with_the_reference(mode: str, small_root: Path, tmp_path: Path) -> None:
    build_tasks(
        data_root=small_root,
        out_dir=tmp_path,
        options=BuildOptions(mode=mode, use_dilated_mask=True, seed=42),
        workers=1,
    )
    points = 0
    for name, expected in REFERENCE[mode].items():
        built = {r["id"]: r for r in json.loads((tmp_path / f"{name}.json").read_text())}
        wanted = {
            sample: answer
            for sample, answer in expected.items()
            if name.startswith("t2b")
            or "concat" in name
            or not has_empty_mask(answer["image"][0], small_root)
        }
        assert set(built) == set(wanted)
        for sample, answer in wanted.items():
            record = built[sample]
            check_paths(record, answer, small_root, tmp_path)
            given = record["conversations"][1]["value"]
            assert (given == "NOT_VISIBLE") == (answer["answer"] == "NOT_VISIBLE")
            if "concat" in name or given == "NOT_VISIBLE":
                continue  # the reference writes concat points in the wrong frame
            if centre_in_mask(Path(record["query_mask"])):
                ours, theirs = parse_unit(given).point, parse_unit(answer["answer"]).point
                assert ours is not None and theirs is not None
                assert ours == pytest.approx(theirs, abs=0.001)
                points += 1
    assert points > 10


def check_paths(record: dict[str, Any], answer: dict[str, Any], root: Path, out: Path) -> None:
    images = [record["image"]] if isinstance(record["image"], str) else record["image"]
    for ours, theirs in zip(images, answer["image"], strict=True):
        base = out if theirs.startswith(("marked_abs/", "concat_abs/")) else root
        assert Path(ours) == base / theirs
        assert Path(ours).is_file()
    assert Path(record["query_original"]) == root / answer["query_original"]
