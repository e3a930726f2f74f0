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
from x3spatial import _moved

sys.path.insert(0, str(REPOSITORY / "scripts"))

NAMES = (
    "build_tasks audit render_scenes evaluate score compare zeroshot export check_model read_tasks"
    " read_results BuildOptions EvalOptions Model UserError"
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
def test_old_modules_hand_on_what_is_new(old: str) -> None:
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
