"""What the package declares: what its core needs, what its extras bring, where the pins are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from helpers.paths import FIXTURES, REPOSITORY, SRC
from x3spatial.errors import UserError, missing_package, packages_of

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

_WITHOUT_RENDERER = """
import sys
sys.modules.update(dict.fromkeys(["embreex", "numba", "torch", "transformers", "pandas"]))
from x3spatial.cli import run
codes = [run(arguments.split("|")) for arguments in sys.argv[1:]]
print(codes)
"""


def without_renderer(*commands: list[object]) -> tuple[list[int], str]:
    """Exit codes and stderr of ``x3`` commands where neither embreex nor numba can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_RENDERER, *("|".join(map(str, c)) for c in commands)],
        env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    codes: list[int] = json.loads(done.stdout.splitlines()[-1])
    return codes, done.stderr


def test_building_and_evaluating_need_no_renderer(tmp_path: Path) -> None:
    root, tasks, results = FIXTURES / "x3-small" / "root", tmp_path / "tasks", tmp_path / "r.json"
    codes, errors = without_renderer(
        ["build", "--data-root", root, "--out-dir", tasks, "--workers", 1],
        ["eval", "--data-json", tasks / "t1_val_multi.json", "--output-json", results,
         "--model", "oracle", "--workers", 1],
    )  # fmt: skip
    assert (codes, errors) == ([0, 0], "")
    assert json.loads(results.read_text())["results"]


def test_scenes_say_what_to_install(tmp_path: Path) -> None:
    codes, errors = without_renderer(["scenes", tmp_path / "root", "--train", 1])
    assert codes == [2] and not (tmp_path / "root").exists()
    assert errors.count("\n") == 1 and errors.endswith(
        "x3 scenes: the package 'embreex' is not installed;"
        ' run: pip install "x3spatial[render]"\n'
    )


def test_the_core_has_no_renderer_and_the_extra_has_one_everywhere() -> None:
    assert not {"embreex", "numba"} & {_name(line) for line in PROJECT["dependencies"]}
    extra = {
        _name(line): line.partition(";")[2] for line in PROJECT["optional-dependencies"]["render"]
    }
    assert "!= 'linux' or platform_machine == 'x86_64'" in extra["embreex"]
    assert "== 'linux' and platform_machine != 'x86_64'" in extra["numba"]


def test_every_extra_but_those_of_few_is_in_dev_and_all_are_pinned() -> None:
    extras = PROJECT["optional-dependencies"]
    own = next(line for line in extras["dev"] if line.startswith("x3spatial["))
    included = set(own[len("x3spatial[") : -1].split(","))
    assert included == set(extras) - {"dev", "hf-torchvision", "browser", "cloud", "ray", "scans"}
    lines = (REPOSITORY / "requirements" / "constraints.txt").read_text().splitlines()
    pinned = [line.partition("==")[0] for line in lines if not line.startswith("#")]
    assert pinned == sorted(pinned, key=str.lower) and len(set(pinned)) == len(pinned)
    needed = [
        *PROJECT["dependencies"],
        *(d for e in included | {"dev", "browser", "ray"} for d in extras[e]),
    ]
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    assert {_name(line) for line in needed if not line.startswith("x3spatial[")} <= names


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_a_missing_package_is_one_line_and_a_fault_of_ours_is_not() -> None:
    with pytest.raises(UserError) as caught, packages_of("train", "x3 sft"):
        import no_such_package_anywhere  # type: ignore[import-not-found]  # noqa: F401
    assert str(caught.value) == str(
        missing_package("no_such_package_anywhere", "train", "x3 sft")
    ) and "\n" not in str(caught.value)
    with pytest.raises(ModuleNotFoundError), packages_of("train", "x3 sft"):
        import x3spatial.no_such_module  # type: ignore[import-not-found]  # noqa: F401


_BLOCKER = """
import sys
sys.modules.update(dict.fromkeys(
    "torch transformers accelerate safetensors peft datasets openai yaml tokenizers".split()
))
"""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("scripts/check_dataloader_t1_x3.py --data_path {tasks}", "x3 check-data"),
        ("-m x3spatial.training.commands sft", "x3 sft"),
        ("-m x3spatial.training.commands data-list", "x3 data list"),
        (
            "-m x3spatial.training.commands recipe-run r --model_name_or_path m --data_dir d --output_dir o",
            "x3 recipe run",
        ),
        (
            "-m x3spatial.training.before_after --base b --trained t --train_json a --held_out_json h"
            " --eval_dir e",
            "the evaluation before and after",
        ),
        (
            "tools/eval_spatial_tasks.py --model_name_or_path m --data_json {tasks} --output_json r.json",
            "--model roborefer",
        ),
    ],
)  # fmt: skip
def test_tools_and_scripts_say_what_to_install(tmp_path: Path, arguments: str, named: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(_BLOCKER)
    tasks = tmp_path / "t1_train_multi.json"
    tasks.write_text("[]")
    done = subprocess.run(
        [sys.executable, *arguments.format(tasks=tasks).split()], cwd=REPOSITORY,
        env={"PYTHONPATH": f"{tmp_path}:{SRC}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(
        rf"x3: {named}: the package '(torch|transformers|yaml)' is not installed;"
        r' run: pip install "x3spatial\[(train|roborefer)\]"\n',
        done.stderr,
    )
