"""Sets that were asked for but cannot be made: named with the reason, and the others are made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import x3spatial as x3
from helpers.roots import box_mask, make_root, write_view
from x3spatial.cli import run
from x3spatial.errors import UserError
from x3spatial.io.images import encode_mask_png
from x3spatial.tasks.spec import TASKS, choose_tasks

HARD = choose_tasks(["hard"])
PAIRS = ("t1_counterfactual", "t2b_unchanged", "t2b_added")
"""The sets that need inpainted images."""


def remove(root: Path, pattern: str) -> None:
    for path in root.rglob(pattern):
        path.unlink()


def without_inpainted(root: Path) -> None:
    remove(make_root(root, scenes=2), "*_inpainted.png")


def one_scene(root: Path) -> None:
    make_root(root, splits=("validation",))


def one_view(root: Path) -> None:
    make_root(root, scenes=2, views=1)


def all_empty(root: Path) -> None:
    for path in make_root(root, scenes=2).rglob("*_mask*.png"):
        path.write_bytes(encode_mask_png(np.zeros((48, 64), bool)))


def first_empty(root: Path) -> None:
    for path in make_root(root, scenes=2).rglob("01_*_mask*.png"):
        path.write_bytes(encode_mask_png(np.zeros((48, 64), bool)))


def one_removable(root: Path) -> None:
    """Only reference views have an inpainted image, so no view B does."""
    make_root(root, scenes=2)
    for rank in ("02", "03"):
        remove(root, f"{rank}_*_inpainted.png")


def all_damaged(root: Path) -> None:
    for path in make_root(root, scenes=2).rglob("*_mask*.png"):
        path.write_bytes(b"no image")


INPAINTED = "no view that shows its object has an inpainted image"
RANK = "no object has a usable view of rank 1 (--anchor-k) and another"
CASES: dict[str, tuple[Callable[[Path], None], dict[str, str]]] = {
    "without inpainted images": (without_inpainted, dict.fromkeys(PAIRS, INPAINTED)),
    "one scene without scene.json": (
        one_scene,
        {"t1_negatives": "all views are of one place, and no scene.json knows what they show"},
    ),
    "one view": (one_view, dict.fromkeys(("t1_counterfactual", "t1_negatives"), RANK)),
    "no object visible": (
        all_empty, dict.fromkeys(HARD, "no view shows its object: all masks are empty"),
    ),
    "no reference visible": (
        first_empty,
        dict.fromkeys(("t1_counterfactual", "t1_negatives"), "no reference view shows its object"),
    ),
    "nothing to remove in a view B": (
        one_removable,
        {"t1_counterfactual": "no pair has a view B that shows the object and has an inpainted image"},
    ),
    "no view usable": (all_damaged, dict.fromkeys(HARD, "no view can be used (see the problems)")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_set_that_cannot_be_made_has_its_reason(case: str, tmp_path: Path) -> None:
    make, reasons = CASES[case]
    make(tmp_path / "root")
    built = x3.build_tasks(tmp_path / "root", tmp_path / "t", tasks=("t1_multi", "hard"))
    splits = list(built.manifest["counts"])
    assert {(one.task, one.split): one.reason for one in built.not_made} == {
        (task, split): reason for task, reason in reasons.items() for split in splits
    }
    files = {path.name for path in (tmp_path / "t").glob("*.json")} - {"build.json"}
    assert files == set(built.manifest["files"])
    for task in HARD:
        for split in splits:
            made = TASKS[task].file("val" if split == "validation" else split) in files
            assert made == (task not in reasons)
    # The same build again says the same.
    again = x3.build_tasks(tmp_path / "root", tmp_path / "t", tasks=("t1_multi", "hard"))
    assert (again.manifest, again.objects_built) == (built.manifest, 0)
    # Asked for alone, it is an error; the set of the document is not.
    for task, reason in reasons.items():
        with pytest.raises(UserError) as raised:
            x3.build_tasks(tmp_path / "root", tmp_path / task, tasks=(task,))
        message = f"--tasks {task}: cannot be made from {tmp_path / 'root'}: {reason}"
        assert str(raised.value) == message
    assert x3.build_tasks(tmp_path / "root", tmp_path / "t2b", tasks=("t2b",)).not_made == ()


def test_other_reasons(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",), scenes=2)

    def reasons(out: str, **options: object) -> set[str]:
        built = x3.build_tasks(root, tmp_path / out, **options)  # type: ignore[arg-type]
        return {one.reason for one in built.not_made}

    both = ("t1_multi", "t1_negatives")
    assert reasons("none", tasks=both, negatives="other_scene=0.01") == {
        "--negatives other_scene=0.01 asks for none: the shares are of 4 pairs that show their object"
    }
    assert reasons("framing", tasks=both, negatives="framing=1") == {
        "no view is known not to show an object of another folder (framing)"
    }
    for scene in root.glob("validation/*"):
        for uid in (0, 1):
            for rank in (1, 2, 3):
                write_view(scene / f"uid_{uid}", rank, box_mask(8, 4, 55, 43))
    assert reasons("decoys", tasks=("t1_multi", "t2b_unchanged"), decoys=True) == {
        "no view has room for a decoy (--decoys)"
    }
    for path in root.glob("validation/*/uid_*/02_*"):
        path.unlink()
    for path in root.glob("validation/*/uid_*/03_*"):
        path.unlink()
    assert reasons("pairs", tasks=("t1_multi", "t1_counterfactual"), mode="allpairs") == {
        "no object has two usable views"
    }


def test_a_set_of_one_split_has_an_empty_validation_file(tmp_path: Path) -> None:
    """As decided for the files of hard sets: train only if not empty, validation always."""
    root = make_root(tmp_path / "root", scenes=2)
    remove(root / "validation", "*_inpainted.png")
    built = x3.build_tasks(root, tmp_path / "t", tasks=("t1_multi", "hard"))
    assert {(one.task, one.split) for one in built.not_made} == {(t, "validation") for t in PAIRS}
    assert json.loads((tmp_path / "t" / "t2b_val_added.json").read_text()) == []
    assert built.manifest["files"]["t2b_val_added.json"]["records"] == 0
    train = make_root(tmp_path / "train", splits=("train",), scenes=2)
    built = x3.build_tasks(train, tmp_path / "t2", tasks=("hard",))
    assert {one.reason for one in built.not_made} == {"the root has no split validation"}
    remove(root / "train", "*_inpainted.png")
    make_root(root, splits=("validation",), scenes=2)
    x3.build_tasks(root, tmp_path / "t", tasks=("t1_multi", "hard"))
    assert not (tmp_path / "t" / "t2b_train_added.json").exists()
    assert len(json.loads((tmp_path / "t" / "t2b_val_added.json").read_text())) == 8


def test_the_command_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = tmp_path / "root", tmp_path / "t"
    without_inpainted(root)
    command = ["build", str(root), "-o", str(out), "--tasks", "t1_multi,hard"]
    assert run(command) == 0
    said = capsys.readouterr().err
    assert f"x3: no {', '.join(PAIRS)} in train, validation: {INPAINTED}\n" in said
    assert "x3: t1_negatives in train: 1 of 1 framing, 1 of 1 occlusion could not be had\n" in said
    assert run([*command, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert {"task": "t2b_added", "split": "train", "reason": INPAINTED} in value["not_made"]
    assert run(["build", str(root), "-o", str(tmp_path / "u"), "--tasks", "t2b_added"]) == 2
    alone = capsys.readouterr()
    assert alone.out == ""
    assert alone.err == f"x3: --tasks t2b_added: cannot be made from {root}: {INPAINTED}\n"
    arguments = ["eval", str(out / "t2b_val_added.json"), "-o", str(tmp_path / "r.json")]
    assert run([*arguments, "--model", "centre"]) == 2
    assert f"could not make it: {INPAINTED}" in capsys.readouterr().err


def test_a_zero_shot_evaluation_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, tasks = tmp_path / "root", tmp_path / "t"
    without_inpainted(root)
    given = {"tasks_dir": tasks, "sets": "hard", "models": ["centre"]}
    found = x3.zeroshot(root, tmp_path / "e", **given)  # type: ignore[arg-type]
    assert {part.name: part.reason for part in found.sets} == {
        TASKS[task].title: INPAINTED if task in PAIRS else None for task in HARD
    }
    written = json.loads((tmp_path / "e" / "summary.json").read_text())["sets"]
    assert [part.get("reason") for part in written] == [part.reason for part in found.sets]
    skipped = {part.name: part.cells[0].skipped for part in found.sets}
    assert skipped == {part.name: part.reason for part in found.sets}
    assert f"no Task2B added: {INPAINTED}" in found.table().notes
    again = ["zeroshot", "-o", str(tmp_path / "e"), "--tasks-dir", str(tasks), "--sets", "hard"]
    assert run([*again, "--model", "centre"]) == 0
    said = capsys.readouterr()
    assert said.out.count(f"not made: {INPAINTED}") == 3
    assert f"x3: no Task2B added: {INPAINTED}\n" in said.err
    # None of them: asked for alone.
    remove(root, "02_*")
    remove(root, "03_*")
    command = ["zeroshot", str(root), *again[1:], "--model", "centre"]
    for _ in range(2):
        assert run(command) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1
        assert said.err.startswith("x3: --sets hard: cannot be made from ")
        assert f"t1_counterfactual, t2b_unchanged, t2b_added: {INPAINTED}" in said.err
        assert f"t1_negatives: {RANK}" in said.err
        command = [*again, "--model", "centre"]  # from the task files
