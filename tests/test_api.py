"""The public API: what it holds, that it is lazy, that old imports go on working, and its page."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import x3spatial as x3
from helpers.paths import REPOSITORY, SRC
from helpers.roots import make_root
from x3spatial import _moved
from x3spatial.tables import Table

sys.path.insert(0, str(REPOSITORY / "scripts"))

NAMES = (
    "build_tasks audit render_scenes evaluate score compare zeroshot export check_model read_tasks"
    " score_answers score_text read_results Benchmark BuildOptions EvalOptions Model UserError"
    " report view ReportOptions agreement ask plot render_table score_people table bench_engines"
    " inpaint import_scans ChoiceOptions ReadOptions PoolOptions merge pack Shard preview"
)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONPATH": str(SRC), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_names() -> None:
    assert set(x3.__all__) == set(NAMES.split()) == set(x3._API)
    assert set(NAMES.split()) <= set(dir(x3))
    for name in x3.__all__:
        value = getattr(x3, name)
        assert callable(value) and value.__name__ == name and value.__doc__, name
    with pytest.raises(AttributeError, match="nothing"):
        x3.nothing  # noqa: B018


def test_importing_it_loads_nothing_heavy() -> None:
    done = python(
        "import sys, x3spatial as x3\n"
        "heavy = {'numpy', 'cv2', 'torch', 'typer', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "x3.BuildOptions\n"
        "assert not {'torch', 'transformers', 'embreex'} & set(sys.modules)\n"
    )
    assert done.returncode == 0, done.stderr


def test_every_submodule_leaves_the_names_callable() -> None:
    """Importing a submodule sets it as an attribute: none may hide a function."""
    missing = []
    for module in pkgutil.walk_packages(x3.__path__, "x3spatial."):
        if module.name == "x3spatial.__main__":
            continue
        try:
            importlib.import_module(module.name)
        except x3.UserError as error:  # a package of an extra that is not installed
            missing.append(str(error))
    assert not [text for text in missing if "pip install" not in text]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for old in _moved.MOVED:
            importlib.import_module(f"x3spatial.{old}")
    for name in x3.__all__:
        assert callable(getattr(x3, name)), name


@pytest.mark.parametrize("old", _moved.MOVED)
def test_old_modules_forward_to_new_ones(old: str) -> None:
    sys.modules.pop(f"x3spatial.{old}", None)
    new = importlib.import_module(f"x3spatial.{_moved.MOVED[old]}")
    with pytest.warns(DeprecationWarning, match=f"x3spatial.{old} is now"):
        module = importlib.import_module(f"x3spatial.{old}")
    assert module.__doc__ == new.__doc__
    public = [name for name in vars(new) if not name.startswith("_")]
    assert public and all(getattr(module, name) is getattr(new, name) for name in public)
    with pytest.raises(AttributeError):
        module.nothing  # noqa: B018


def test_old_names() -> None:
    for module, names in _moved.RENAMED.items():
        for old, new in names.items():
            home, _, attribute = new.rpartition(":")
            target = importlib.import_module(f"x3spatial.{home or module}")
            with pytest.warns(DeprecationWarning, match=f"{old} is now"):
                assert _moved.renamed(module, old) is getattr(target, attribute)


OLD_IMPORTS = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
import x3spatial
from x3spatial.build.run import build_tasks
from x3spatial.evaluate.run import evaluate
from x3spatial.data.images import read_rgb
from x3spatial.data.files import Journal, lock_dir
from x3spatial.models.conventions.registry import CONVENTIONS, find_convention
from x3spatial.models.pictures import load_rgb
from x3spatial.models.base import Answerer, Question
from x3spatial.tasks.points import Point, mask_target
from x3spatial.tasks.answers import Said, parse_unit
assert build_tasks is x3spatial.build_tasks and evaluate is x3spatial.evaluate
assert Answerer is x3spatial.Model and callable(x3spatial.evaluate) and callable(x3spatial.export)
assert Said.POINT.value == "point" and find_convention("unit") is CONVENTIONS["unit"]
"""


def test_imports_of_version_0_1() -> None:
    done = python(OLD_IMPORTS)
    assert done.returncode == 0, done.stderr
    done = python("import x3spatial.evaluate.run")
    assert "x3spatial.evaluate.run is now x3spatial.evaluation.run" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "x3spatial.train.commands", "sft", "--help"],
        env={"PYTHONPATH": str(SRC), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "--model-name-or-path" in done.stdout, done.stderr


def test_the_page_is_made_from_the_docstrings() -> None:
    import make_api

    page = Path(REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == make_api.api_markdown(), "run: python scripts/make_api.py"
    for name in x3.__all__:
        assert f"## `x3.{name}`" in page


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    make_root(folder / "root", scenes=3, objects=4)
    return folder


def test_from_strings_to_tables(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README shows, with paths as strings."""
    monkeypatch.chdir(runs)
    report = x3.audit("root")
    assert "no problems" in repr(report) and "validation" in repr(report)
    built = x3.build_tasks("root", "tasks")
    assert f"{built.records} samples of 24 objects" in repr(built)
    result = x3.evaluate("tasks/t1_val_multi.json", "r.json", model="centre")
    text = repr(result)
    assert "Hit@Mask" in text and f"{result.metrics['hit_at_mask']:.3f}" in text
    interval = result.ci95["hit_at_mask"]
    assert interval is not None and f"[{interval[0]:.3f}, {interval[1]:.3f}]" in text
    assert max(map(len, text.splitlines())) <= 80
    stored = x3.read_results("r.json")
    assert "centre on t1_val_multi.json" in repr(stored)
    assert x3.score("r.json", "tasks/t1_val_multi.json", "s.json").metrics == result.metrics
    x3.evaluate("tasks/t1_val_multi.json", "o.json", model="oracle")
    comparison = x3.compare("r.json", "o.json")
    assert "hit_at_mask" in repr(comparison) and " *" in repr(comparison)
    summary = x3.zeroshot("root", "eval", ["oracle", "centre"], tasks_dir="tasks2")
    lines = repr(summary).splitlines()
    assert sum("Task1 multi" in line for line in lines) == 2
    frame = summary.to_dataframe()
    assert set(frame["model"]) == {"oracle", "centre"} and len(set(frame["set"])) == 4
    exported = x3.export("tasks/t1_val_multi.json", "e", to="llava")
    assert "t1_val_multi.json" in repr(exported)
    tasks = x3.read_tasks("tasks/t1_val_multi.json")
    assert len(tasks) == len(stored.results) == len(result.to_dataframe())


def test_the_samples_as_a_data_frame(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    frame = x3.read_results("r.json").to_dataframe()
    entry = x3.read_results("r.json").results[0]
    row = frame.iloc[0]
    assert (row["id"], row["pred_x"], row["pred_y"]) == (entry.id, 0.5, 0.5)
    assert row["hit_mask"] == entry.hit_mask and row["gt_text"] == entry.gt.text
    hits = frame.loc[~frame["gt_not_visible"], "hit_mask"].astype(float).mean()
    assert hits == x3.read_results("r.json").metrics["hit_at_mask"]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(x3.UserError, match=r'pip install "x3spatial\[dataframe\]"'):
        x3.read_results("r.json").to_dataframe()


def test_a_table_escapes_what_it_shows_in_a_notebook() -> None:
    table = Table(
        "<b>", ("name", "値"), (("<img onerror=x>", "1.5"), ("long name", "12")), ("a & b",)
    )
    assert table.text().splitlines() == [
        "<b>",
        "name              値",
        "<img onerror=x>  1.5",
        "long name         12",
        "a & b",
    ]
    html = table.html()
    assert "<img" not in html and "&lt;img onerror=x&gt;" in html and "a &amp; b" in html
    assert html.count("<tr>") == 3 and "<caption>&lt;b&gt;</caption>" in html


def test_a_result_has_a_notebook_representation(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs)
    html = x3.read_results("r.json")._repr_html_()
    assert html.startswith("<table>") and "Hit@Mask" in html


def test_pictures_and_comparisons_show_themselves_in_a_notebook(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs)
    for name in ("root.png", "tasks.jpg"):
        shown = x3.preview(
            "root" if name == "root.png" else "tasks/t1_val_multi.json", name, limit=1
        )
        assert shown.path == Path(name) == Path(shown) and repr(shown) == f"Picture('{name}')"
        png, jpeg = shown._repr_png_(), shown._repr_jpeg_()
        assert (png, jpeg).count(Path(name).read_bytes()) == 1
        assert (png is None) == (name == "tasks.jpg") and shown._repr_svg_() is None
        shown.path.unlink()
        assert shown._repr_png_() is shown._repr_jpeg_() is None
    with pytest.raises(x3.UserError, match=r"root: is a folder.* --results, --only and --id"):
        x3.preview("root", "root.png", results="r.json")
    drawn = x3.plot("r.json", "success.svg")
    assert str(drawn._repr_svg_()).lstrip().startswith("<?xml") and drawn._repr_png_() is None
    comparison = x3.compare("r.json", "o.json", by=("size",))
    assert "by share of the image" in repr(comparison)
    html = comparison._repr_html_()
    assert html.count("<table>") == 2 and "<caption>A: centre (r.json)<br>B: oracle" in html
    assert x3.table(["r.json", "o.json"])._repr_html_().startswith("<table>")
