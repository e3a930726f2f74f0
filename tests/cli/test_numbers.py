"""Numeric options of all commands: a value without a meaning is refused, never replaced by a default."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, get_args, get_origin

import pytest

from helpers.roots import make_photos, make_root
from x3spatial.cli import run
from x3spatial.cli.build import _callback
from x3spatial.cli.table import ENTRIES
from x3spatial.errors import flag

HUGE = "99999999999999999999999"
VALUES = ("0", "-1", "nan", "inf", HUGE)
ANY_SEED = frozenset({"0", "-1", HUGE})

MEANINGFUL: dict[tuple[str, str], frozenset[str]] = {
    ("build", "seed"): ANY_SEED,
    ("eval", "seed"): ANY_SEED,
    ("ask", "seed"): ANY_SEED,
    ("zeroshot", "build_seed"): ANY_SEED,
    ("scenes", "seed"): frozenset({"0"}),
    ("composites", "seed"): frozenset({"0", HUGE}),
    ("crop", "seed"): frozenset({"0", HUGE}),
    ("model tiny", "seed"): frozenset({"0"}),
    ("model resize", "rotate_heads"): frozenset({"0"}),
    **{("scenes", split): frozenset({"0"}) for split in ("train", "validation", "test")},
    ("build", "emit_concat"): frozenset({"0"}),
    ("build", "anchor_k"): frozenset({HUGE}),
    **{(path, "limit"): frozenset({HUGE}) for path in ("build", "preview", "export", "eval")},
    **{("eval", name): frozenset({HUGE}) for name in (
        "batch_size", "max_new_tokens", "concurrency", "max_image_pixels", "max_image_bytes")},
    ("eval", "retries"): frozenset({"0", HUGE}),
    ("eval", "stop_after_failures"): frozenset({"0", HUGE}),
    ("eval", "max_reply_bytes"): frozenset({HUGE}),
    ("eval", "process_timeout"): frozenset({"inf", HUGE}),
    ("eval", "timeout"): frozenset({HUGE}),
    ("crop", "times"): frozenset({HUGE}),
    ("view", "port"): frozenset({"0"}),
    ("ask", "limit"): frozenset({HUGE}),
    ("import", "every"): frozenset({HUGE}),
    ("inpaint-bench", "limit"): frozenset({HUGE}),
    **{("import", name): frozenset({"0"}) for name in (
        "absent", "max_side", "min_share", "min_share_first", "max_share", "min_visible",
        "min_visible_first", "min_angle", "min_apart", "min_difference", "min_sharpness")},
    ("import", "depth_disagree"): frozenset({"0"}),
}  # fmt: skip
"""Values that an option takes; all others must be refused."""
SERVERS_OWN = frozenset(
    {"concurrency", "timeout", "retries", "max_image_pixels", "max_image_bytes", "max_reply_bytes"}
)


def kinds(annotation: Any) -> list[type]:
    if annotation in (int, float):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in kinds(part)]


def numeric_options() -> Iterator[tuple[str, str, int]]:
    """(command, parameter, how many values it takes) of every command that does not parse by itself."""
    for entry in ENTRIES:
        if entry.target is None:
            continue
        module, _, attribute = entry.target.partition(":")
        declared = getattr(import_module(f"x3spatial.cli.{module}"), attribute)
        if declared.raw:  # the trainer's own parser
            continue
        for parameter in inspect.signature(_callback(declared, has_json=False)).parameters.values():
            if get_origin(parameter.annotation) is Annotated and "_also_" not in parameter.name:
                found = kinds(get_args(parameter.annotation)[0])
                if found:
                    yield entry.path, parameter.name, len(found)


def once(options: Iterator[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Without the options that ``zeroshot`` and ``check-model`` share with ``eval`` and ``build``."""
    found = list(options)
    shared = {name for path, name, _ in found if path in ("eval", "build")}
    return [
        (path, name, count)
        for path, name, count in found
        if path not in ("zeroshot", "check-model") or name not in shared
    ]


OPTIONS = once(numeric_options())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("numbers")
    root = make_root(folder / "root", splits=("validation",), objects=1)
    assert run(["-q", "build", str(root), "-o", str(folder / "t")]) == 0
    tasks, results = folder / "t" / "t1_val_multi.json", folder / "results.json"
    assert run(["-q", "eval", str(tasks), "-o", str(results), "--model", "centre"]) == 0
    checkpoint = folder / "checkpoint"
    if find_spec("torch") is not None:
        assert run(["-q", "model", "tiny", str(checkpoint)]) == 0
    photos = make_photos(folder / "photos")
    return SimpleNamespace(
        photos=photos, root=root, tasks=tasks, results=results, checkpoint=checkpoint
    )


def arguments(path: str, name: str, files: SimpleNamespace, out: Path) -> list[str]:
    model = ["--model", "centre"]
    if name in SERVERS_OWN:
        model = [
            "--model",
            "openai:x",
            "--convention",
            "unit",
            "--base-url",
            "http://127.0.0.1:9/v1",
        ]
    given: dict[str, list[Any]] = {
        "scenes": [out, "--fast"],
        "composites": [out],
        "import": ["photos", files.photos, "-o", out],
        "inpaint-bench": [files.root, "-o", out, "--model", "pixel-diff"],
        "crop": [files.root, "-o", out],
        "audit": [files.root],
        "build": [files.root, "-o", out],
        "merge": [out],
        "preview": [files.tasks, "-o", out / "sheet.png"],
        "export": [files.tasks, "--to", "ms-swift", "-o", out],
        "pack": [files.tasks, "-o", out],
        "eval": [files.tasks, "-o", out / "r.json", *model],
        "score": [files.results, files.tasks, "-o", out / "r.json"],
        "report": [files.results, "-o", out],
        "view": [files.results, "--no-browser"],
        "table": [files.results],
        "plot": [files.results, "-o", out / "f.png"],
        "ask": [files.tasks, "-o", out],
        "zeroshot": [files.root, "-o", out, "--tasks-dir", out / "t", *model],
        "check-model": list(model),
        "model tiny": [out],
        "model resize": [files.checkpoint, out, "--image-size", "112"],
    }
    return [str(part) for part in given[path]]


@pytest.mark.parametrize(("path", "name", "count"), OPTIONS)
def test_numbers_without_a_meaning_are_refused(
    path: str,
    name: str,
    count: int,
    files: SimpleNamespace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if path.startswith("model "):
        pytest.importorskip("torch")
    for value in VALUES:
        if value in MEANINGFUL.get((path, name), ()):
            continue
        given = [*path.split(), *arguments(path, name, files, tmp_path / "out"), flag(name)]
        assert run([*given, *[value] * count]) == 2, (flag(name), value)
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1, printed
        assert flag(name) in printed.err, printed.err


@pytest.mark.parametrize("path", ["audit", "build", "score", "eval"])
def test_more_workers_than_work(path: str, files: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    given = [path, *arguments(path, "workers", files, tmp_path / "out"), "--workers", "4096"]
    assert run(["-q", *given]) == 0


def test_defaults_replace_none_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Zero used to be taken for "not given"."""
    for name in ("width", "height", "samples"):
        assert run(["scenes", str(tmp_path), "--fast", f"--{name}", "0"]) == 2
        assert f"--{name} 0: must be" in capsys.readouterr().err
