"""A default stands in one place: every command has those of the verb that it calls."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from cli.test_help import SHOWN, command_of
from x3spatial.builder.options import TASKS_DIR, BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.evaluation.check_model.run import check_model
from x3spatial.evaluation.compare import compare
from x3spatial.evaluation.options import AnswersOptions, AskOptions, EvalOptions, PoolOptions
from x3spatial.evaluation.rescore import score
from x3spatial.evaluation.run import evaluate
from x3spatial.exporters.run import export
from x3spatial.importers.options import ChoiceOptions, ReadOptions
from x3spatial.importers.run import import_scans
from x3spatial.inpaint_bench.run import bench_engines
from x3spatial.merging import merge
from x3spatial.models.roborefer.resize import resize_checkpoint
from x3spatial.models.roborefer.tiny import make_tiny
from x3spatial.packs.run import pack
from x3spatial.pipeline import ZeroshotOptions, zeroshot
from x3spatial.reports.people.ask import ask
from x3spatial.reports.people.options import AskPageOptions
from x3spatial.reports.plot_options import PlotOptions
from x3spatial.reports.preview import preview
from x3spatial.reports.table import TableOptions
from x3spatial.reports.table_text import render_table
from x3spatial.reports.web.options import PageOptions, ReportOptions
from x3spatial.reports.web.report import report
from x3spatial.reports.web.server import view
from x3spatial.roots.audit.run import audit
from x3spatial.roots.crop_root import crop_root
from x3spatial.synth.composites import make_composites
from x3spatial.synth.generate import render_scenes
from x3spatial.synth.options import SCENES

SOURCES: dict[str, list[Any]] = {
    "scenes": [render_scenes, SCENES],
    "composites": [make_composites],
    "import": [import_scans, ReadOptions(), ChoiceOptions()],
    "crop": [crop_root],
    "inpaint-bench": [bench_engines],
    "audit": [audit],
    "build": [build_tasks, BuildOptions()],
    "merge": [merge],
    "pack": [pack],
    "preview": [preview],
    "export": [export],
    "eval": [evaluate, EvalOptions(), PoolOptions()],
    "score": [score, AnswersOptions()],
    "table": [render_table, TableOptions()],
    "plot": [PlotOptions()],
    "ask": [ask, AskPageOptions()],
    "report": [report, ReportOptions()],
    "view": [view, PageOptions()],
    "zeroshot": [
        zeroshot,
        PoolOptions(),
        ZeroshotOptions().evaluation,
        ZeroshotOptions().build,
    ],
    "compare": [compare],
    "check-model": [check_model, AskOptions()],
    "model tiny": [make_tiny],
    "model resize": [resize_checkpoint],
}
OTHER_NAMES = {
    ("preview", "png"): "output",
    ("preview", "sample_id"): "ids",
    ("export", "points"): "point_format",
    ("pack", "licence"): "license",
    ("zeroshot", "build_seed"): "seed",
}
"""Where an option has another name than the verb's parameter."""
ASKING = ("eval", "zeroshot", "check-model")
OF_COMMANDS = {"quiet", "log_level", "as_json", "model", "model_name_or_path", "process_timeout"}
"""What no verb takes: how a command prints, and how it names models."""


def model_options() -> set[str]:
    from x3spatial.cli.model_options import MODEL_OPTIONS

    return set(MODEL_OPTIONS.table())


def plain(value: Any) -> Any:
    """A default as both sides can have it."""
    if callable(value):
        value = value()
    if value is None or value == ():
        return None
    return str(value) if hasattr(value, "parts") else value


def defaults_of(source: Any) -> dict[str, Any]:
    if isinstance(source, dict):
        return source
    if dataclasses.is_dataclass(source):
        return {f.name: getattr(source, f.name) for f in dataclasses.fields(source)}
    return {
        name: p.default
        for name, p in inspect.signature(source).parameters.items()
        if p.default is not p.empty
    }


@pytest.mark.parametrize("path", SOURCES)
def test_defaults(path: str) -> None:
    sources = [defaults_of(source) for source in SOURCES[path]]
    apart = OF_COMMANDS | ({*model_options()} if path in ASKING else set())
    apart |= {"dry_run"} if path == "merge" else set()  # another function
    seen = set()
    for parameter in command_of(path).params:
        name = str(parameter.name)
        if "_also_" in name or parameter.required or name in apart:
            continue
        if name == "help":
            continue
        verbs = OTHER_NAMES.get((path, name), name)
        # The build's seed is the last source's; all other names stand in one source only.
        order = reversed(sources) if name == "build_seed" else iter(sources)
        source = next((s for s in order if verbs in s), None)
        given = plain(parameter.default)
        if source is None:
            # A positional or -o without a default anywhere; the build's folder is the document's.
            assert given is None or (path, name, given) == ("build", "out_dir", str(TASKS_DIR)), (
                name
            )
            continue
        expected = plain(source[verbs])
        if name in ("tasks", "splits", "exclude"):  # text here, names there; None is the verb's own
            assert given is None
        else:
            assert given == expected, (name, given, expected)
        seen.add(verbs)
    # Nothing that a verb can be told is missing in its command.
    not_options = {
        "options", "pool", "world", "out_option", "models", "model_options", "changes", "data_root",
        "eval_dir", "tasks_dir", "scenes", "read", "choice", "emit_concat" if path == "zeroshot" else "",
    }  # fmt: skip
    if path == "zeroshot":
        not_options |= {"crop_reference", "decoys", "splits", "tasks"}
    for source in sources:
        assert set(source) - seen <= not_options, path


def test_every_command_is_compared_or_takes_no_options() -> None:
    for entry in SHOWN:
        if entry.path not in SOURCES:
            own = {p.name for p in command_of(entry.path).params if p.param_type_name == "option"}
            assert own <= {"quiet", "log_level", "help", "as_json"}, entry.path


def test_the_present_defaults_of_the_commands() -> None:
    assert BuildOptions().seed == 42 and not BuildOptions().use_dilated_mask
    build = ZeroshotOptions().build
    assert (build.seed, build.use_dilated_mask) == (42, True)
    assert ZeroshotOptions().evaluation == EvalOptions()


def test_zeroshot_without_options_builds_as_the_command(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from helpers.roots import make_root
    from x3spatial.cli import run

    for name in ("DATA_ROOT_X3", "OUT_DIR", "EVAL_DIR", "MODEL"):
        monkeypatch.delenv(name, raising=False)
    root = make_root(tmp_path / "root")
    zeroshot(str(root), str(tmp_path / "a"), ["centre"], tasks_dir=str(tmp_path / "tasks-a"))
    command = ["zeroshot", root, "-o", tmp_path / "b", "--tasks-dir", tmp_path / "tasks-b",
               "--model", "centre", "-q"]  # fmt: skip
    assert run(list(map(str, command))) == 0
    made = [json.loads((tmp_path / f"tasks-{n}/build.json").read_text()) for n in "ab"]
    assert made[0]["parameters"] == made[1]["parameters"]
    assert (made[0]["parameters"]["seed"], made[0]["parameters"]["use_dilated_mask"]) == (42, True)
    names = "t1_val_multi.json", "t1_val_concat.json", "t2a_val_multi.json", "t2b_val_multi.json"
    for name in names:
        texts = [(tmp_path / f"tasks-{n}" / name).read_text() for n in "ab"]
        assert texts[0].replace("tasks-a", "tasks-b") == texts[1]
