"""``x3 report``: the data of the page, and the folder that it is written to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.paths import SRC
from helpers.roots import make_root
from helpers.web_report import data, digests, names, unpacked
from x3spatial.errors import UserError
from x3spatial.evaluation.compare import compare
from x3spatial.formats.results_file import read_results
from x3spatial.formats.task_file import read_records
from x3spatial.formats.typed_json import encode
from x3spatial.reports.figures import metric_text
from x3spatial.reports.outcomes import OUTCOMES, outcome_of
from x3spatial.reports.web import results_site, root_site, site
from x3spatial.reports.web.folder import report_folder
from x3spatial.reports.web.report import report


@pytest.fixture(scope="module")
def page(web_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "report"
    report(web_results / "results", folder, workers=1)
    return folder


def test_the_structure_of_the_folder(page: Path) -> None:
    files = {name for name in digests(page) if not name.startswith(("images/", "assets/"))}
    assert files == {
        "index.html", "x3-report.json", "data/report.js", "data/set-0.js", "data/ids-0.js",
        "data/set-0/detail-0000.js",
    }  # fmt: skip
    images = [name for name in digests(page) if name.startswith("images/")]
    assert images and all(re.fullmatch(r"images/[0-9a-f]{2}/[0-9a-f]{32}\.webp", n) for n in images)
    assert json.loads((page / "x3-report.json").read_text())["state"] == "complete"


def test_figures_are_those_of_the_files(web_results: Path, page: Path) -> None:
    value = data(page, "report")
    assert [run["name"] for run in value["runs"]] == ["scripted", "b"]
    for cell, name in zip(value["cells"], "ab", strict=True):
        file = read_results(web_results / f"results/{name}/t1_val_multi.json")
        assert cell["metrics"] == file.metrics
        assert cell["ci95"] == encode(file.ci95)
        assert cell["chance"] == file.chance
        assert cell["by_stratum"] == {k: encode(rows) for k, rows in file.by_stratum.items()}
        assert cell["text"] == {k: metric_text(k, v) for k, v in file.metrics.items()}
        assert (cell["total"], cell["missing"], cell["errors"]) == (24, 0, name == "a")
        # The curve passes through the metrics.
        curve = dict(zip(cell["curve"]["r"], cell["curve"]["success"], strict=True))
        assert curve[0.05] == pytest.approx(file.metrics["success_005"], abs=1e-5)
        assert sum(cell["errors_hist"]["counts"]) == sum(
            e.l2_error is not None for e in file.results
        )
        assert sum(cell["map"]["counts"]) + cell["map"]["outside"] == sum(
            entry.pred_parsed.coord is not None for entry in file.results
        )


def test_comparisons_are_those_of_x3_compare(web_results: Path, page: Path) -> None:
    paths = [web_results / f"results/{name}/t1_val_multi.json" for name in "ab"]
    expected = compare(*paths)
    (pair,) = data(page, "report")["comparisons"]
    assert (pair["set"], pair["a"], pair["b"], pair["refused"]) == (0, 0, 1, None)
    assert (pair["samples"], pair["left_out"]) == (expected.samples, expected.left_out)
    assert pair["left_out"] == 1  # the sample that a did not answer
    for row in expected.differences:
        found = pair["metrics"][row.metric]
        assert found["difference"] == row.difference
        assert found["ci95"] == encode(row.ci95)
        assert found["significant"] == row.is_clear


def test_samples_are_paired_by_id(web_results: Path, page: Path) -> None:
    index, ids = data(page, "set-0"), data(page, "ids-0")
    details = data(page, "set-0/detail-0000")
    records = read_records(web_results / "tasks/t1_val_multi.json")
    assert ids == [record.id for record in records] == [detail["id"] for detail in details]
    assert names(index["label"]) == [record.label for record in records]
    assert names(index["scene"]) == [record.scene for record in records]
    angles = [record.strata.angle_deg for record in records if record.strata]
    assert unpacked(index["strata"]["angle_deg"]).tolist() == angles
    order = list(OUTCOMES)
    for run, name in enumerate("ab"):
        file = read_results(web_results / f"results/{name}/t1_val_multi.json")
        columns = index["runs"][str(run)]
        for place, entry in enumerate(file.results):
            assert order[unpacked(columns["outcome"])[place]] == outcome_of(entry).name
            error = unpacked(columns["error"])[place]
            if entry.l2_error is None:
                assert np.isnan(error)
            else:
                assert error == np.float32(entry.l2_error)
            answer = details[place]["runs"][str(run)]
            assert answer["text"] == entry.pred_text
            assert answer["point"] == encode(entry.pred_parsed.coord)
    first = details[0]["runs"]["0"]
    assert first["reason"] == "numbers, but no point"
    assert details[5]["runs"]["0"]["flags"] == ["out_of_range"]
    prompts = {index["prompts"][detail["prompt"]] for detail in details}
    assert prompts == {records[0].prompt}


def test_masks_are_outlines(page: Path) -> None:
    details = data(page, "set-0/detail-0000")
    (polygon,) = details[0]["outline"]  # columns 4..10, rows 5..11 of 32 x 24
    x, y = polygon[::2], polygon[1::2]
    assert min(x) * 32 == pytest.approx(4, abs=0.5) and max(x) * 32 == pytest.approx(11, abs=0.5)
    assert min(y) * 24 == pytest.approx(5, abs=0.5) and max(y) * 24 == pytest.approx(12, abs=0.5)
    assert details[3]["outline"] == []


def test_texts_cannot_leave_their_script(page: Path) -> None:
    for path in (*page.glob("data/**/*.js"), page / "index.html"):
        text = path.read_text("utf-8")
        if path.name != "index.html":
            assert not set("<>&\u2028\u2029") & set(text), path.name
        assert "onerror" not in text or "\\u003cimg" in text
    assert names(data(page, "set-0")["label"])[0] is not None


def test_a_title_is_text(web_results: Path, tmp_path: Path) -> None:
    report(
        web_results / "results", tmp_path / "r", title="<b>&</title><script>x</script>", workers=1
    )
    page = (tmp_path / "r/index.html").read_text()
    assert "<title>&lt;b&gt;&amp;&lt;/title&gt;&lt;script&gt;x&lt;/script&gt;</title>" in page
    assert "Content-Security-Policy" in page and "unsafe" not in page


def test_no_path_of_the_machine_is_in_the_folder(web_results: Path, page: Path) -> None:
    for path in page.rglob("*"):
        if path.is_file():
            assert str(web_results.parent).encode() not in path.read_bytes(), path
    reason = data(page, "set-0/detail-0000")[4]["runs"]["0"]["reason"]
    assert reason.endswith("data/x.png") and "/tmp" not in reason
    record = data(page, "set-0/detail-0000")[0]["record"]
    assert record["query_mask"] == "train/s0/uid_1/00_mask.png"


def test_links_point_to_the_originals(web_results: Path, tmp_path: Path) -> None:
    report(web_results / "results", tmp_path / "r", images="link", workers=1)
    images = data(tmp_path / "r", "set-0")["images"]
    assert all(image["src"].startswith("file:///") for image in images)
    assert (images[0]["w"], images[0]["h"]) == (32, 24)
    assert not (tmp_path / "r/images").exists()
    with pytest.raises(UserError, match="--zip: --images link"):
        report(web_results / "results", tmp_path / "s", images="link", zip=tmp_path / "s.zip")
    assert not (tmp_path / "s").exists()


def test_thumbnails_are_small(web_results: Path, tmp_path: Path) -> None:
    import cv2

    report(make_root(tmp_path / "root", splits=("train",), objects=1), tmp_path / "r", images="thumbs",
           thumb_side=32, workers=1)  # fmt: skip
    (image, *_) = data(tmp_path / "r", "set-0")["images"]
    assert (image["w"], image["h"]) == (64, 48)  # of the original
    found = cv2.imread(str(tmp_path / "r" / image["src"]))
    assert found is not None and found.shape == (24, 32, 3)


def test_bytes_do_not_depend_on_workers(web_results: Path, page: Path, tmp_path: Path) -> None:
    report(web_results / "results", tmp_path / "r", workers=5)
    assert digests(tmp_path / "r") == digests(page)


def test_a_killed_run_is_continued(web_results: Path, page: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    code = (
        "import os, sys\n"
        "from x3spatial.reports.web import folder\n"
        "write, left = folder.write_bytes, 4\n"
        "def dying(path, data):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left == 0: os._exit(9)\n"
        "    write(path, data)\n"
        "folder.write_bytes = dying\n"
        "from x3spatial.reports.web.report import report\n"
        "report(sys.argv[1], sys.argv[2], workers=1)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, str(web_results / "results"), str(out)],
        env={"PYTHONPATH": str(SRC)}, check=False,
    )  # fmt: skip
    assert killed.returncode == 9
    assert json.loads((out / "x3-report.json").read_text())["state"] == "unfinished"
    done = report(web_results / "results", out, workers=1)
    assert done.kept == 3  # a picture, two scripts
    assert digests(out) == digests(page)


def test_only_a_report_is_replaced(web_results: Path, tmp_path: Path) -> None:
    results = web_results / "results"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="holds something else than a report"):
        report(results, mine)
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]
    out = tmp_path / "out"
    report(results, out, workers=1)
    (out / "notes.txt").write_text("x")
    (out / "data/mine.js").write_text("x")
    report(results / "b", out, workers=1)
    assert (out / "notes.txt").exists() and (out / "data/mine.js").exists()
    assert len(data(out, "report")["runs"]) == 1
    with pytest.raises(UserError, match="holds the input"):
        report(results, results.parent)


def test_two_reports_do_not_mix(web_results: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    with (
        report_folder(out),
        pytest.raises(UserError, match="another x3 run is writing there"),
    ):
        report(web_results / "results", out, workers=1)
    assert not out.exists()  # nothing was written
    report(web_results / "results", out, workers=1)
    assert not (out / ".x3-lock").exists()


def test_options_of_results_are_not_for_roots(web_results: Path, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("train",), objects=1, views=2)
    with pytest.raises(UserError, match="--image-root: is for results"):
        report(root, tmp_path / "r", image_root=root)
    assert not (tmp_path / "r").exists()


def test_stale_files_are_removed(web_results: Path, tmp_path: Path) -> None:
    report(web_results / "results", tmp_path / "r", workers=1)
    (tmp_path / "r/data/set-0/.detail-0000.js.part").write_text("of a killed run")
    root = make_root(tmp_path / "root", splits=("train",), objects=1, views=3)
    report(root, tmp_path / "r", workers=1)
    report(root, tmp_path / "fresh", workers=1)
    assert digests(tmp_path / "r") == digests(tmp_path / "fresh")


def test_a_zip_holds_the_folder(web_results: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        report(
            web_results / "results", tmp_path / name / "r", zip=tmp_path / f"{name}.zip", workers=1
        )
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        archive.extractall(tmp_path / "out")
    assert digests(tmp_path / "out/r") == digests(tmp_path / "one/r")
    (tmp_path / "mine.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="is no report"):
        report(web_results / "results", tmp_path / "x", zip=tmp_path / "mine.zip")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "all"}, "--images all: must be one of copy, thumbs, link"),
        ({"thumb_side": 3}, "--thumb-side 3: must be 32 to 4096"),
        ({"workers": 0}, "--workers 0"),
    ],
)
def test_wrong_options(
    web_results: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        report(web_results / "results", tmp_path / "r", **changes)
    assert not (tmp_path / "r").exists()


def test_a_root_with_its_audit(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", objects=2, views=3)
    (root / "train/train_0/uid_0/02_000020_mask.png").write_bytes(b"no image")
    (root / "train/train_0/uid_0/02_000020_mask_dialated.png").unlink()
    done = report(root, tmp_path / "r", workers=1)
    value = data(tmp_path / "r", "report")
    assert value["kind"] == done.kind == "root"
    assert [(one["name"], one["split"], one["samples"]) for one in value["sets"]] == [
        ("train", "train", 6), ("validation", "val", 6)
    ]  # fmt: skip
    kinds = {found["kind"]: found["count"] for found in value["findings"]}
    assert kinds["MASK_DAMAGED"] == 1
    (problem,) = [p for p in value["problems"] if p["kind"] == "MASK_DAMAGED"]
    assert problem["path"] == "train/train_0/uid_0/02_000020_mask.png"
    assert problem["level"] == "left out"
    index, details = data(tmp_path / "r", "set-0"), data(tmp_path / "r", "set-0/detail-0000")
    assert unpacked(index["truth"]).tolist() == [0, 2, 1, 0, 0, 1]
    assert details[0]["outline"] and not details[2]["outline"]
    assert details[0]["record"]["files"]["original"] == "train/train_0/uid_0/01_000010_original.png"
    assert str(tmp_path) not in (tmp_path / "r/data/report.js").read_text()
    with pytest.raises(UserError, match="name it alone"):
        report([root, tmp_path], tmp_path / "s")


def test_a_large_set_is_in_several_files(
    web_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (site, results_site, root_site):
        monkeypatch.setattr(module, "DETAILS_PER_FILE", 10)
    root = make_root(tmp_path / "root", splits=("train",), objects=5, views=3)
    for inputs, lengths in ((root, [10, 5]), (web_results / "results", [10, 10, 4])):
        report(inputs, tmp_path / "r", workers=2)
        parts = [data(tmp_path / "r", f"set-0/detail-{n:04d}") for n in range(len(lengths))]
        assert [len(part) for part in parts] == lengths
        assert [d["id"] for part in parts for d in part] == data(tmp_path / "r", "ids-0")
        assert data(tmp_path / "r", "report")["sets"][0]["details_per_file"] == 10


def test_missing_images_and_masks_are_named(web_results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "moved"
    shutil.copytree(web_results, copy)
    text = (copy / "tasks/t1_val_multi.json").read_text()
    # The records name a root that is gone: the file is another one now, but asks the same.
    (copy / "tasks/t1_val_multi.json").write_text(text.replace(str(web_results), "/gone/for/good"))
    results = copy / "results/a/t1_val_multi.json"
    results.write_text(results.read_text().replace(str(web_results), str(copy)))
    done = report(copy / "results/a", tmp_path / "r", workers=1)
    # Whoever ran the command is told the whole paths; the page has them shortened.
    assert {path for path, _ in done.problems} >= {
        str(copy / "tasks/t1_val_multi.json"), "/gone/for/good/data/train/s0/uid_1/00A_original.png"
    }  # fmt: skip
    value = data(tmp_path / "r", "report")
    reasons = " ".join(problem["reason"] for problem in value["problems"])
    assert "48 of 48 images cannot be shown" in reasons and "--image-root" in reasons
    assert "paired by id and right answer" in reasons
    index = data(tmp_path / "r", "set-0")
    assert {image["src"] for image in index["images"]} == {None}
    assert {image["reason"] for image in index["images"]} == {"file is missing"}
    report(copy / "results/a", tmp_path / "s", image_root=web_results / "data", workers=1)
    assert all(image["src"] for image in data(tmp_path / "s", "set-0")["images"])


def test_a_report_is_quick_on_an_unchanged_folder(web_results: Path, tmp_path: Path) -> None:
    """Pictures are not made twice: their names are those of their contents."""
    report(web_results / "results", tmp_path / "r", workers=1)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "r/images").rglob("*.webp")}
    time.sleep(0.01)
    done = report(web_results / "results", tmp_path / "r", workers=1)
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "r/images").rglob("*.webp")}
    assert done.kept == len(before)
