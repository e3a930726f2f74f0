"""Options objects: checked once; single options beside them replace their fields; paths may be strings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.roots import make_root
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.errors import UserError
from x3spatial.evaluation.check_model.run import check_model
from x3spatial.evaluation.compare import compare
from x3spatial.evaluation.options import EvalOptions, ScoreOptions
from x3spatial.evaluation.rescore import score
from x3spatial.evaluation.run import evaluate
from x3spatial.exporters.run import export
from x3spatial.pipeline import ZeroshotOptions, zeroshot
from x3spatial.reports.preview import preview
from x3spatial.roots.audit.run import audit
from x3spatial.roots.crop_root import crop_root
from x3spatial.synth.composites import make_composites


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("options") / "root")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "--batch-size 0: must be at least 1"),
        ({"max_new_tokens": 0}, "--max-new-tokens 0: must be at least 1"),
        ({"limit": 0}, "--limit 0: must be at least 1"),
        ({"scoring": "x4"}, "--scoring x4: must be one of x3, roborefer"),
        ({"mask": "both"}, "--mask both: must be one of auto, tight, dilated"),
    ],
)
def test_checked_when_made(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EvalOptions(**options)  # type: ignore[arg-type]


def test_every_verb_takes_strings(root: Path, tmp_path: Path) -> None:
    tasks, out = str(tmp_path / "tasks"), str(tmp_path / "r.json")
    assert not audit(str(root)).problems
    assert build_tasks(str(root), tasks).records
    data = f"{tasks}/t1_val_multi.json"
    evaluate(data, out, "centre", image_folder=str(tmp_path))
    score(out, data, str(tmp_path / "s.json"))
    assert compare(out, str(tmp_path / "s.json")).samples
    assert export(data, str(tmp_path / "export"), "llava").records
    assert preview(data, str(tmp_path / "p.png"), results=out).path.is_file()
    assert crop_root(str(root), str(tmp_path / "near")).objects
    assert make_composites(str(tmp_path / "flat"), scenes=1) == 1
    check_model("oracle", str(tmp_path / "check"), dots=4, max_new_tokens=20)
    zeroshot(str(root), str(tmp_path / "eval"), ["centre"], tasks_dir=tasks)


def test_former_keywords_still_work(root: Path, tmp_path: Path) -> None:
    tasks, out = tmp_path / "tasks", tmp_path / "r.json"
    build_tasks(data_root=root, out_dir=tasks, options=BuildOptions(seed=3))
    data = tasks / "t1_val_multi.json"
    evaluate(data_json=data, output_json=out, model="uniform", batch_size=4, seed=5, limit=2)
    settings = json.loads(out.read_text())["settings"]
    assert (settings["seed"], settings["limit"]) == (5, 2)
    score(results=out, data_json=data, output_json=None, mask="tight")
    assert json.loads(out.read_text())["scoring"]["mask"] == "tight"
    zeroshot(
        models=["uniform"], data_root=root, out_dir=tasks, eval_dir=tmp_path / "eval",
        options=BuildOptions(seed=3), seed=7, limit=1,
    )  # fmt: skip
    made = json.loads((tasks / "build.json").read_text())["parameters"]
    assert (made["seed"], made["use_dilated_mask"], made["limit"]) == (3, False, None)
    settings = json.loads((tmp_path / "eval/t1_val_multi.json").read_text())["settings"]
    assert (settings["seed"], settings["limit"]) == (7, 1)


def test_single_options_replace_fields(root: Path, tmp_path: Path) -> None:
    tasks, out = tmp_path / "tasks", tmp_path / "r.json"
    summary = build_tasks(root, tasks, BuildOptions(mode="allpairs", seed=1), seed=2, tasks=("t1",))
    made = summary.manifest["parameters"]
    assert (made["mode"], made["seed"], made["tasks"]) == ("allpairs", 2, ["t1_multi", "t1_concat"])
    options = EvalOptions(seed=1, max_new_tokens=9)
    evaluate(tasks / "t1_val_multi.json", out, "uniform", options, seed=2)
    settings = json.loads(out.read_text())["settings"]
    assert (settings["seed"], settings["max_new_tokens"]) == (2, 9)
    changed = ZeroshotOptions().changed({"seed": 1, "build_seed": 2, "alpha": 0.3, "mask": "tight"})
    assert (changed.evaluation.seed, changed.evaluation.mask) == (1, "tight")
    assert (changed.build.seed, changed.build.alpha) == (2, 0.3)
    assert changed.build.use_dilated_mask  # as before


def test_unknown_options_are_type_errors(root: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="batchsize"):
        evaluate("t.json", "r.json", "centre", batchsize=4)
    with pytest.raises(TypeError, match="limit"):
        score("r.json", "t.json", limit=4)
    with pytest.raises(TypeError, match="scoring"):
        check_model("oracle", scoring="x3")
    with pytest.raises(TypeError, match="modus"):
        build_tasks(root, tmp_path, modus="anchor")
    with pytest.raises(TypeError, match="modus"):
        zeroshot(root, tmp_path, ["centre"], modus="anchor")
    assert ScoreOptions(image_folder="a").image_folder == Path("a")  # type: ignore[arg-type]
