"""Paired differences per bin: those of the same runs on the samples of the bin alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.task_sets import make_set
from x3spatial.cli import run
from x3spatial.errors import UserError
from x3spatial.evaluation.compare import compare
from x3spatial.evaluation.paired import Difference
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.statistics.by_stratum import METRICS

ANGLES = (5.0, 20.0, 59.9, 60.0, 180.0)
BINS = [(0, 20), (20, 40), (40, 60), (60, 90), (90, 180)]
"""One angle of each."""


def asked(folder: Path, records: list[dict[str, Any]]) -> tuple[Path, Path]:
    """Results of two models on a task file of these records."""
    folder.mkdir(exist_ok=True)
    data = folder / "t1_val_multi.json"
    data.write_text(json.dumps(records))
    for model in ("centre", "oracle"):
        evaluate(data_json=data, output_json=folder / f"{model}.json", model=model, workers=1)
    return folder / "centre.json", folder / "oracle.json"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    data = make_set(tmp_path_factory.mktemp("set"), count=120, scenes=12)
    found: list[dict[str, Any]] = json.loads(data.read_text())
    for number, record in enumerate(found):
        # By scene, so that a bin has other units than the whole; the last samples are of unknown angle.
        angle = ANGLES[number // 12 % 5] if number < 110 else None
        record["strata"] = {"angle_deg": angle, "overlap": 1.0 if number % 2 else 0.1}
        record["mask_area_fraction"] = 0.0 if number % 4 == 3 else 49 / 768
    return found


def test_a_bin_is_compared_as_its_samples_alone(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    found = compare(*asked(tmp_path / "all", records), by=["overlap", "angle"])
    assert list(found.by_stratum) == ["angle_deg", "overlap"]
    parts = found.by_stratum["angle_deg"]
    assert [(part.least, part.most) for part in parts] == BINS
    assert sum(part.samples for part in parts) == 110
    for number, part in enumerate(parts):
        own = [r for r in records if r["strata"]["angle_deg"] == ANGLES[number]]
        alone = compare(*asked(tmp_path / str(number), own))
        assert (part.samples, part.ci_unit) == (alone.samples, alone.ci_unit) == (len(own), "scene")
        assert part.differences == tuple(row for row in alone.differences if row.metric in METRICS)
        (hit,) = (row for row in part.differences if row.metric == "hit_at_mask")
        assert hit.b == 1.0 and hit.a is not None and hit.difference == 1.0 - hit.a
    assert found.differences == compare(tmp_path / "all/centre.json",
                                        tmp_path / "all/oracle.json").differences  # fmt: skip


def test_sizes_are_known_without_the_scenes_file(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    plain = [{k: v for k, v in record.items() if k != "strata"} for record in records]
    found = compare(*asked(tmp_path, plain), by=["size", "angle", "absence"])
    (part,) = found.by_stratum["mask_share"]
    assert (part.least, part.most, part.samples) == (0.04, None, 90)  # visible ones only
    assert found.by_stratum["angle_deg"] == found.by_stratum["absence"] == ()


def test_in_json_and_in_tables(
    records: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = map(str, asked(tmp_path, records))
    assert run(["compare", a, b, "--by", "overlap,absence", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [list(row)[:5] for row in value["by_stratum"]["overlap"]] == [
        ["from", "to", "name", "samples", "ci_unit"]
    ] * 2
    assert value["by_stratum"]["absence"] == []
    row = Difference(**value["by_stratum"]["overlap"][1]["differences"][0])
    assert row.metric == "not_visible_accuracy"
    assert run(["compare", a, b, "--by", "overlap,absence"]) == 0
    printed = capsys.readouterr().out
    assert "by share of A's surface in B's frame" in printed and "0.75 to 1" in printed
    assert "95 % intervals over scenes" in printed
    assert "by cause of absence: unknown of these samples" in printed
    assert run(["compare", a, b, "--json"]) == 0
    assert "by_stratum" not in json.loads(capsys.readouterr().out)


def test_the_task_file_must_be_the_one_that_was_asked(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    runs = asked(tmp_path, records)
    whole = compare(*runs, by=["angle"])
    moved = (tmp_path / "t1_val_multi.json").rename(tmp_path / "moved.json")
    with pytest.raises(UserError, match=r"--by: the task file of .* is no longer there; name it"):
        compare(*runs, by=["angle"])
    assert compare(*runs, by=["angle"], data_json=moved) == whole
    (tmp_path / "t1_val_multi.json").write_text(json.dumps(records[::-1]))
    with pytest.raises(UserError, match="was changed since; name it"):
        compare(*runs, by=["angle"])
    moved.write_text(json.dumps(records[1:]))
    with pytest.raises(UserError, match="is not the task file of"):
        compare(*runs, by=["angle"], data_json=moved)
    with pytest.raises(UserError, match="--by colour: known are angle"):
        compare(*runs, by=["colour"])
    with pytest.raises(UserError, match="only read to compare by strata; add --by"):
        compare(*runs, data_json=moved)
