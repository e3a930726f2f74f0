"""Registries and recipes that were made to hang, to fill the memory or to mean two things."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from x3spatial.errors import UserError

from .common import CHECKPOINT

from x3spatial.training.mixtures import list_data, read_registry, resolve_mixture  # isort: skip
from x3spatial.training.recipe import read_recipe, run_recipe  # isort: skip
from x3spatial.training.yaml_file import MOST_BYTES  # isort: skip


def bomb(levels: int = 12) -> str:
    """Aliases of aliases: 10 to the power of ``levels`` values, as the value of a key ``z``."""
    lines = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for n in range(1, levels):
        lines.append(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]")
    return "\n".join(lines) + f"\nz: *x{levels - 1}\n"


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


CHAIN = "\n".join(f"  m{n}: m{n + 1}" for n in range(2000))
DOUBLES = "\n".join(f"  m{n}: m{n - 1} + m{n - 1}" for n in range(1, 31))

REGISTRIES = [
    (bomb() + "datasets: {a: x}", "stand for more than 20,000 values"),
    ("datasets:\n  a: {data_path: x, weight: &w [*w]}", "an alias of what it stands in"),
    ("datasets:\n  a: &a {data_path: x, b: *a}", "an alias of what it stands in"),
    (f"datasets: {{a: {{data_path: x, weight: {nested(5000)}}}}}", "nested more than 32 deep"),
    (f"datasets: {nested(40)}", "nested more than 32 deep"),
    ("datasets:" + "".join(f"\n{'  ' * n}a:" for n in range(1, 50)), "nested more than 32 deep"),
    ("[" * 200_000, "nested more than 32 deep"),
    (f"datasets: {{a: [{'1, ' * 60_000}]}}", "more than 20,000 values"),
    ("#" + "x" * MOST_BYTES, "is larger than 1,048,576 bytes"),
    ("datasets: {a: x, a: y}", "line 1: 'a' is given twice"),
    ("datasets: {a: x}\ndatasets: {b: y}", "line 2: 'datasets' is given twice"),
    ("datasets: {a: {data_path: x, data_path: y}}", "'data_path' is given twice"),
    ("datasets: {1: x, '1': y}", "'1' is given twice"),
    ("datasets: {a: x}\nmixtures: {b: a, b: a*2}", "'b' is given twice"),
    ("datasets: {a: {data_path: x, weight: .nan}}", "weight is nan; expected a number above 0"),
    ("datasets: {a: {data_path: x, weight: .inf}}", "weight is inf"),
    ("datasets: {a: {data_path: x, weight: 1.0e+308}}", "at most 1000"),
    ("datasets: {a: {data_path: x, image_folder: 5}}", "image_folder is 5; expected the path"),
    ("datasets: {a: {data_path: x, depth_folder: [b]}}", "depth_folder is ['b']"),
    ("datasets: {a: {data_path: x, only: [visible]}}", "only is ['visible']"),
    ("datasets: {a: x}\nmixtures: {b: [a]}", "mixture 'b': expected an expression"),
    ("datasets: !!python/object/apply:os.system [ls]", "cannot be read as YAML"),
    ("datasets: {a: 2020-13-45}", "cannot be read as YAML"),
    (f"datasets: {{a: {'9' * 5000}}}", "cannot be read as YAML"),
    ("datasets: {? [a] : b}", "cannot be read as YAML"),
    ("a: 1\n---\na: 2", "cannot be read as YAML"),
    ("\x00", "cannot be read as YAML"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"), REGISTRIES, ids=[str(n) for n in range(len(REGISTRIES))]
)
def test_registries(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        read_registry(path)
    assert time.monotonic() - start < 10
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_bytes_and_folders(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"datasets: {a: \xff}")
    with pytest.raises(UserError, match=r"r\.yaml: cannot be read as YAML: 'utf-8' codec"):
        read_registry(tmp_path / "r.yaml")
    with pytest.raises(UserError, match="is not a file"):
        read_registry(tmp_path)


@pytest.mark.parametrize(
    ("mixtures", "name", "message"),
    [
        (CHAIN + "\n  m2000: a", "m0", "mixture 'm0' is nested more than 50 deep"),
        ("  m0: a\n" + DOUBLES, "m30", "'a' would be seen 1,073,741,824 times per epoch; at most"),
        ("  m0: a*600", "m0 + m0", "'a' would be seen 1,200 times per epoch"),
        ("  m0: a", "a*" + "9" * 400, "'a' would be seen inf times per epoch"),
    ],
)
def test_mixtures(tmp_path: Path, mixtures: str, name: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"datasets: {{a: x.json}}\nmixtures:\n{mixtures}")
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        resolve_mixture(name, read_registry(path))
    assert message in str(caught.value)
    with pytest.raises(UserError):
        list_data(path) if name != "a*" + "9" * 400 and "+" not in name else resolve_mixture(
            name, read_registry(path)
        )
    assert time.monotonic() - start < 10


def test_what_is_within_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "datasets:\n  a: &one {data_path: x.json, weight: 2}\n  b: {<<: *one, weight: 3}\n"
        "mixtures:\n  m0: a\n" + "\n".join(DOUBLES.splitlines()[:8])
    )
    found = resolve_mixture("m8 + b", read_registry(path))
    assert [(source.name, source.weight) for source in found] == [("a", 512.0), ("b", 3.0)]


RECIPES = [
    (bomb() + "datasets: {a: x}", "stand for more than 20,000 values"),
    ("datasets: {a: x}\nstages: [{name: n, mixture: a, name: m}]", "'name' is given twice"),
    ("datasets: {a: x}\noptions: {max_steps: 1, max-steps: 2}\nstages: [{name: n, mixture: a}]",
     "given in two spellings"),
    ("datasets: {a: x}\nstages: [{name: \"a\\0b\", mixture: a}]", "cannot be a folder's name"),
    (f"datasets: {{a: x}}\nstages: [{{name: {'n' * 300}, mixture: a}}]", "cannot be a folder's name"),
    (f"datasets: {{a: x}}\nstages: {nested(2000)}", "nested more than 32 deep"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), RECIPES, ids=[str(n) for n in range(len(RECIPES))])
def test_recipes(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


@pytest.mark.parametrize(
    "option", ["learning_rate: .nan", "muon_lr: -1", "seed: -1", "warmup_ratio: 1"]
)
def test_a_dry_run_finds_mistaken_numbers(tmp_path: Path, option: str) -> None:
    (tmp_path / "x.json").write_text("[]")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"datasets: {{a: x.json}}\nstages: [{{name: n, mixture: a, options: {{{option}}}}}]"
    )
    name = option.partition(":")[0].replace("_", "-")
    with pytest.raises(UserError, match=rf"stage n: --{name} .*: must be"):
        run_recipe(
            recipe=path, base=CHECKPOINT, data_dir=tmp_path, output_dir=tmp_path / "o", dry_run=True
        )
    assert not (tmp_path / "o").exists()
