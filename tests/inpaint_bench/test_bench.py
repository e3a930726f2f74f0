"""The ranking of inpainting engines: right figures, resumed work, and what users can get wrong."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.paths import FIXTURES
from x3spatial.errors import UserError
from x3spatial.evaluation.run import evaluate
from x3spatial.inpaint_bench.measure import LEFT_IN, TRUE
from x3spatial.inpaint_bench.run import bench_engines
from x3spatial.inpaint_bench.summary import BenchSummary, EngineRow
from x3spatial.inpainting import inpaint
from x3spatial.io.images import read_mask, read_rgb

ROOT = FIXTURES / "x3-small" / "root"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> BenchSummary:
    out = tmp_path_factory.mktemp("bench") / "out"
    return bench_engines(ROOT, out, models=("pixel-diff", "oracle"), workers=1)


def rows(summary: BenchSummary) -> dict[str, EngineRow]:
    return {row.engine: row for row in summary.rows}


def truths() -> list[tuple[Any, Any, Any]]:
    """Original, truth and hole of every view that shows its object."""
    found = []
    for path in sorted(ROOT.rglob("*_original.*")):
        name = path.name.partition("_original")[0]
        hole = read_mask(path.with_name(f"{name}_mask_dialated.png"))
        if hole.any():
            true = next(path.parent.glob(f"{name}_inpainted.*"))
            found.append((read_rgb(path), read_rgb(true), hole))
    return found


def test_figures_are_those_of_the_images(bench: BenchSummary) -> None:
    views, found = truths(), rows(bench)
    assert [row.engine for row in bench.rows][-2:] == [TRUE, LEFT_IN]
    assert {row.views for row in bench.rows} == {len(views)}

    def error(images: list[Any]) -> float:
        parts = zip(images, views, strict=True)
        return float(np.mean([np.abs(a.astype(int) - t)[h].mean() for a, (_, t, h) in parts]))

    for engine in ("telea", "patchmatch"):
        filled = [inpaint(original, hole, engine) for original, _, hole in views]
        assert found[engine].measures["mae"].mean == pytest.approx(error(filled), abs=1e-4)
    left = found[LEFT_IN].measures
    assert left["mae"].mean == pytest.approx(error([o for o, _, _ in views]), abs=1e-4)
    true = found[TRUE].measures
    assert (true["mae"].mean, true["ssim"].mean, true["gradient"].mean) == (0.0, 1.0, 0.0)
    # The true images change outside of the hole too, where the engines change nothing.
    outside = [np.abs(t.astype(int) - o)[~h].mean() for o, t, h in views]
    assert bench.true_outside == pytest.approx(np.mean(outside), abs=1e-4)
    assert true["outside"].mean == pytest.approx(bench.true_outside, abs=1e-5)
    assert found["telea"].measures["outside"].mean == 0.0
    maes = [row.measures["mae"].mean for row in bench.rows[:2]]
    assert maes == sorted(maes) and bench.rows[0].mae_difference is None
    other = bench.rows[1].mae_difference
    assert other is not None and other.mean == pytest.approx(maes[1] - maes[0], abs=1e-6)


def test_models_answer_on_the_engines_images(bench: BenchSummary, tmp_path: Path) -> None:
    found = rows(bench)
    for name, row in found.items():
        assert row.models["oracle"].metrics["hit_at_mask"] == 1.0, name
        results = Path(row.models["pixel-diff"].results)
        data = next(results.parent.glob("t2b-*.json"))
        again = evaluate(data, tmp_path / "r.json", "pixel-diff", workers=1, fresh=True)
        assert again.metrics["hit_at_mask"] == row.models["pixel-diff"].metrics["hit_at_mask"]
        assert row.models["oracle"].metrics["hit_at_mask_tight"] is not None
        for record in json.loads(data.read_text()):
            image = Path(record["image"][1])
            assert image.is_file() and (name in (TRUE, LEFT_IN)) == image.is_relative_to(ROOT)
    assert found[TRUE].models["pixel-diff"].metrics["hit_at_mask"] > 0.9
    # Nothing changed: it answers with the centre, where some objects are.
    assert found[LEFT_IN].models["pixel-diff"].metrics["hit_at_mask"] < 0.6


def test_the_table_and_the_file_say_the_same(bench: BenchSummary) -> None:
    text = bench.table().text()
    assert f"{rows(bench)['telea'].measures['mae'].mean:.2f}" in text
    assert "pixel-diff" in text and "less on the true images" in text
    stored = json.loads((bench.out_dir / "inpaint-bench.json").read_text())
    assert stored["format"] == 1 and not stored["rendered"]
    assert [row["engine"] for row in stored["engines"]] == [row.engine for row in bench.rows]
    assert all(len(line) <= 80 for line in bench.table().text(80).splitlines())


def without_times(summary: BenchSummary) -> Any:
    value = json.loads(json.dumps(summary.to_json()).replace(str(summary.out_dir), ""))
    for row in value["engines"]:
        del row["measures"]["cpu_s"]
        for model in row["models"].values():
            del model[
                "results"
            ]  # its name has a hash of the task file, which has the folder's path
    return value


def test_a_killed_bench_continues_and_workers_change_nothing(
    bench: BenchSummary, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    models = ("pixel-diff", "oracle")
    whole = bench_engines(ROOT, out, models=models, workers=2)
    assert without_times(whole) == without_times(bench)
    journal = out / ".x3-inpaint-bench.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-3]) + lines[-3][:40])  # killed while it wrote
    gone = json.loads(lines[1])["views"][0]["image"]
    Path(gone).unlink()
    again = bench_engines(ROOT, out, models=models, workers=1)
    assert 0 < again.made < whole.made and without_times(again) == without_times(bench)
    assert Path(gone).is_file()
    assert bench_engines(ROOT, out, models=models, workers=1).made == 0
    fewer = bench_engines(ROOT, out, models=models, workers=1, limit=1)  # another set of questions
    assert fewer.made == 0 and rows(fewer)[TRUE].views < rows(whole)[TRUE].views


def test_other_programs_and_folders(tmp_path: Path) -> None:
    """A program that changes the whole image, the truth as a folder, and a folder with a gap."""
    program = tmp_path / "darker.py"
    program.write_text(
        "import sys, cv2; i = cv2.imread(sys.argv[1]); i //= 2; cv2.imwrite(sys.argv[3], i)"
    )
    gap = tmp_path / "gap"
    shutil.copytree(ROOT, gap)
    missing = sorted(gap.glob("validation/*/*/01_*_inpainted.*"))[0]
    missing.unlink()
    command = f"command:{shlex.join([sys.executable, str(program)])}"
    engines = (command, f"folder:{ROOT}", f"folder:{gap}")
    summary = bench_engines(ROOT, tmp_path / "out", engines, (), splits=("validation",), workers=1)
    found = rows(summary)
    assert found[command].measures["outside"].mean > 10  # by the program; x3 restores it
    assert found[engines[1]].measures["mae"].mean == 0.0
    assert found[engines[2]].views == found[TRUE].views - 1
    assert [problem.path for problem in summary.problems] == [str(missing.with_suffix(".png"))]
    assert "views differ" in summary.table().text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"inpaint": ()}, "--inpaint: name at least one engine"),
        ({"inpaint": ("none",)}, "--inpaint none: makes no images to compare"),
        ({"inpaint": ("telea", "telea")}, "--inpaint telea: given twice"),
        ({"inpaint": ("lama:absent.onnx",)}, "--inpaint lama:absent.onnx: no such file"),
        ({"models": ("sift",)}, "--model sift: cannot answer Task2B; try pixel-diff"),
        ({"models": ("nothing",)}, "--model nothing: unknown kind"),
        ({"models": ("oracle", "oracle")}, "given twice"),
        ({"limit": 0}, "--limit 0: must be at least 1"),
        ({"inpaint_timeout": 0, "inpaint": ("command:true",)}, "--inpaint-timeout 0: must be above 0"),
        ({"workers": 0}, "--workers 0"),
        ({"out_dir": ROOT / "bench"}, "lies in the data root"),
        ({"splits": ("test",)}, "no such split"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        bench_engines(**{"data_root": ROOT, "out_dir": tmp_path / "out", **options})
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_other_folders_are_left_alone(bench: BenchSummary, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files \(notes.txt\)"):
        bench_engines(ROOT, tmp_path, fresh=True)
    copied = tmp_path / "root"
    shutil.copytree(ROOT, copied)
    with pytest.raises(UserError, match=r"holds the bench of .* add --fresh"):
        bench_engines(copied, bench.out_dir)
    for path in copied.rglob("*_inpainted.*"):
        path.unlink()
    with pytest.raises(UserError, match="x3 scenes renders such a root"):
        bench_engines(copied, tmp_path / "out", ("telea",), (), workers=1)


def test_command(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from x3spatial.__main__ import main

    arguments = ["inpaint-bench", str(ROOT), "-o", str(tmp_path / "b"), "--inpaint", "telea"]
    arguments += ["--limit", "1", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    shown = capfd.readouterr()
    assert ended.value.code in (0, None) and "telea" in shown.out and TRUE in shown.out
    assert "not all scenes come from x3 scenes" in shown.err
    with pytest.raises(SystemExit):
        main([*arguments, "--json"])
    assert json.loads(capfd.readouterr().out)["engines"][0]["engine"] == "telea"


def test_an_inpainting_engine_as_engine_is_told_its_option(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from x3spatial.cli import run

    given = "command:my.sh"
    assert run(["inpaint-bench", str(ROOT), "-o", str(tmp_path), "--engine", given]) == 2
    assert capfd.readouterr().err == (
        f"x3: --engine {given}: expected local or ray; what fills in is --inpaint {given}\n"
    )
