"""Task files and data roots that were moved: relative paths, --image-root, and what is said without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.roots import make_root, tree_bytes
from helpers.task_sets import Scripted
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.errors import UserError
from x3spatial.evaluation.rescore import score
from x3spatial.evaluation.result import EvalResult
from x3spatial.evaluation.run import evaluate
from x3spatial.exporters.run import export
from x3spatial.reports.preview import preview

NAMES = ("t1_val_multi.json", "t1_val_concat.json", "t2a_val_multi.json", "t2b_val_multi.json")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with ``views`` and nothing else."""
    make_root(tmp_path / "here" / "views", objects=1)
    return tmp_path / "here"


def oracle(tasks: Path, name: str, **options: Any) -> EvalResult:
    return evaluate(tasks / name, tasks.parent / "r" / name, "oracle", workers=1, **options)


def check_all(tasks: Path, **options: Any) -> None:
    """Everything that reads task files finds all images and masks."""
    out = tasks.parent / "out"
    for name in NAMES:
        result = oracle(tasks, name, fresh=True, **options)
        assert (result.errors, result.problems) == (0, ())
        visible = int(result.metrics["visible_gt"] or 0)
        assert result.metrics["hit_at_mask_count"] == visible
        assert (result.metrics["hit_at_mask"] == 1.0) if visible else True
        again = score(tasks.parent / "r" / name, tasks / name, workers=1, mask="tight", **options)
        assert again.metrics["hit_at_mask_count"] == visible
        assert preview(tasks / name, out / name.replace(".json", ".png"), **options).path.is_file()
    export(tasks / NAMES[0], out / "sharegpt", "sharegpt", paths="copy", **options)
    export(tasks / NAMES[0], out / "px", "ms-swift", point_format="qwen3-1000", **options)
    seen: list[str] = []

    class Reads(Scripted):
        def answer(self, questions: Any, prepared: Any) -> list[str]:
            seen.extend(str(path) for question in questions for path in question.images)
            return ["NOT_VISIBLE" for _ in questions]

    evaluate(tasks / NAMES[0], out / "reads.json", Reads(), workers=1, fresh=True, **options)
    assert seen and all(Path(path).is_absolute() and Path(path).is_file() for path in seen)


def test_relative_task_files_and_their_root_move_together(place: Path, tmp_path: Path) -> None:
    build_tasks(place / "views", place / "tasks", paths="relative", workers=1)
    (record, *_) = json.loads((place / "tasks" / NAMES[0]).read_text())
    assert record["image"] == [
        "marked_abs/validation/validation_0/uid_0/01_000010_marked.png",
        "../views/validation/validation_0/uid_0/02_000020_original.png",
    ]
    assert str(tmp_path) not in (place / "tasks" / NAMES[3]).read_text()
    check_all(place / "tasks")
    (tmp_path / "far" / "away").mkdir(parents=True)
    new = place.rename(tmp_path / "far" / "away" / "there")
    shutil.rmtree(new / "out")
    # The answers are still valid.
    assert oracle(new / "tasks", NAMES[0]).asked == 0
    check_all(new / "tasks")


def test_relative_task_files_are_read_through_links(place: Path, tmp_path: Path) -> None:
    build_tasks(place / "views", place / "tasks", paths="relative", workers=1)
    (tmp_path / "a" / "b").mkdir(parents=True)
    link = tmp_path / "a" / "b" / "link"  # its own ".." has no views
    link.symlink_to(place / "tasks")
    check_all(link)


def test_a_relative_build_is_the_same_wherever_it_is_made(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place, tmp_path / "other")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    build_tasks(place / "views", place / "tasks", paths="relative", workers=1)
    build_tasks(
        tmp_path / "link" / "views", tmp_path / "link" / "tasks", paths="relative", workers=1
    )
    one, two = tree_bytes(place / "tasks"), tree_bytes(tmp_path / "other" / "tasks")
    assert {k: v for k, v in one.items() if k != "build.json"} == {
        k: v for k, v in two.items() if k != "build.json"
    }
    check_all(tmp_path / "link" / "tasks")
    moved = place.rename(tmp_path / "moved")
    again = build_tasks(moved / "views", moved / "tasks", paths="relative", workers=1)
    assert again.objects_built == 0


def test_paths_differ_in_nothing_else(place: Path, tmp_path: Path) -> None:
    build_tasks(place / "views", place / "a", workers=1)
    build_tasks(place / "views", place / "b", paths="relative", workers=1)
    for name in NAMES:
        plain = json.loads((place / "a" / name).read_text())
        text = (place / "b" / name).read_text()
        text = text.replace('"../views', f'"{place}/views').replace(
            '"marked_abs', f'"{place}/a/marked_abs'
        )
        assert json.loads(text.replace('"concat_abs', f'"{place}/a/concat_abs')) == plain
    assert "paths" not in BuildOptions().to_json()
    with pytest.raises(UserError, match="--paths sideways: must be absolute or relative"):
        BuildOptions(paths="sideways")


@pytest.mark.parametrize("paths", ["absolute", "relative"])
@pytest.mark.parametrize("moved", ["root", "tasks", "both", "apart"])
def test_moved_folders_are_found_by_image_root(
    place: Path, tmp_path: Path, paths: str, moved: str
) -> None:
    build_tasks(place / "views", place / "tasks", paths=paths, workers=1)
    root, tasks = place / "views", place / "tasks"
    if moved in ("root", "both", "apart"):
        root = root.rename(place / "views2" if moved != "apart" else tmp_path / "elsewhere")
    if moved in ("tasks", "both", "apart"):
        tasks = tasks.rename(place / "tasks2")
    check_all(tasks, image_root=root)
    check_all(tasks, image_root=str(root) + "/")
    if (paths, moved) != ("relative", "tasks"):  # they are beside each other as before
        with pytest.raises(UserError, match=r"files of all 2 samples are missing.*--image-root"):
            evaluate(tasks / NAMES[0], tmp_path / "n.json", "centre", workers=1)


def test_a_task_file_without_its_images_is_refused_once_before_anything_is_asked(
    place: Path, tmp_path: Path
) -> None:
    build_tasks(place / "views", place / "tasks", workers=1)
    (place / "views").rename(place / "gone")
    tasks, model, out = place / "tasks", Scripted(), tmp_path / "r.json"
    first = json.loads((tasks / NAMES[0]).read_text())[0]["image"][1]
    calls: list[Any] = [
        lambda: evaluate(tasks / NAMES[0], out, model, workers=1),
        lambda: preview(tasks / NAMES[0], tmp_path / "p.png"),
    ]
    for call in calls:
        with pytest.raises(UserError) as error:
            call()
        text = str(error.value)
        assert text.startswith(
            f"{tasks / NAMES[0]}: the files of all 2 samples are missing, {first} first"
        )
        assert "--image-root" in text and "x3 build" in text and "\n" not in text
    assert model.asked == [] and not out.exists()
    with pytest.raises(UserError, match=f"image {first} is missing; .*--image-root"):
        export(tasks / NAMES[0], tmp_path / "e", "llava")
    assert not (tmp_path / "e" / "export.json").exists()
    with pytest.raises(UserError, match=r"--image-root .*/nowhere: no such folder"):
        evaluate(tasks / NAMES[0], out, model, workers=1, image_root=place / "nowhere")
    with pytest.raises(UserError, match="files of all 2 samples are missing"):
        evaluate(tasks / NAMES[0], out, model, workers=1, image_root=place)


def test_one_missing_image_costs_one_sample(place: Path, tmp_path: Path) -> None:
    build_tasks(place / "views", place / "tasks", workers=1)
    records = json.loads((place / "tasks" / NAMES[0]).read_text())
    Path(records[0]["image"][1]).unlink()
    result = evaluate(place / "tasks" / NAMES[0], tmp_path / "r.json", "sift", workers=1)
    assert result.errors == 1


def test_scoring_finds_the_moved_masks_of_the_run(place: Path, tmp_path: Path) -> None:
    build_tasks(place / "views", place / "tasks", workers=1)
    out, tasks = tmp_path / "r.json", place / "tasks" / NAMES[0]
    evaluate(tasks, out, "oracle", workers=1)
    root = (place / "views").rename(place / "views2")
    with pytest.raises(UserError, match="--image-root"):
        score(out, tasks, tmp_path / "s.json", workers=1)
    again = evaluate(tasks, out, "oracle", workers=1, image_root=root)
    assert again.asked == 0 and again.metrics["hit_at_mask"] == 1.0
    assert json.loads(out.read_text())["settings"]["image_root"] == str(root)
    assert score(out, tasks, tmp_path / "s.json", workers=1).metrics["hit_at_mask"] == 1.0
