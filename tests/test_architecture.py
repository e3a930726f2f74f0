"""Who imports whom, imports inside functions included: no circles, no import from a higher floor."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "x3spatial"


def imported(source: str, module: str, is_package: bool, known: frozenset[str]) -> set[str]:
    """The modules of ``known`` that ``source``, the text of ``module``, imports at run time.

    ``from a import b`` means ``a.b`` where that is a module, else ``a``. What stands below
    ``if TYPE_CHECKING:`` does not run and does not count.
    """
    found: set[str] = set()
    for node in running_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in known else base)
    return {name for name in found if name in known and name != module}


def running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below ``if TYPE_CHECKING:``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and is_type_checking(node.test):
            for other in node.orelse:
                yield other
                yield from running_nodes(other)
            continue
        yield node
        yield from running_nodes(node)


def is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def read_package() -> dict[str, set[str]]:
    """Every module of the package with what it imports of the package."""
    base = ROOT / "src"
    files = sorted((base / PACKAGE).rglob("*.py"))
    names = {}
    for file in files:
        parts = list(file.relative_to(base).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        names[".".join(parts[:-1] if is_package else parts)] = (file, is_package)
    known = frozenset(names)
    return {
        name: imported(file.read_text(encoding="utf-8"), name, is_package, known)
        for name, (file, is_package) in names.items()
    }


def find_circle(graph: Mapping[str, set[str]]) -> list[str] | None:
    """A circle of imports, its first module repeated at the end; None where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[::-1]
    return None


def find_upward(graph: Mapping[str, set[str]], layers: list[str]) -> list[str]:
    """Imports between packages that do not point to a lower layer.

    Args:
        graph: modules and what they import.
        layers: from the highest to the lowest; packages of one layer are separated by ``|``.
    """
    height = {
        f"{PACKAGE}.{name.strip()}": -number
        for number, layer in enumerate(layers)
        for name in layer.split("|")
    }

    def owner(module: str) -> str:
        return ".".join(module.split(".")[:2])

    return sorted(
        f"{module} -> {other}"
        for module, others in graph.items()
        for other in others
        if owner(module) in height
        and owner(other) in height
        and owner(module) != owner(other)
        and height[owner(other)] >= height[owner(module)]
    )


def read_layers() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return list(layers)


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return read_package()


def test_no_circle(graph: dict[str, set[str]]) -> None:
    assert find_circle(graph) is None


def test_no_upward_import(graph: dict[str, set[str]]) -> None:
    assert find_upward(graph, read_layers()) == []


def test_the_finders_find() -> None:
    known = frozenset({"x3spatial.cli", "x3spatial.io", "x3spatial.io.files"})
    lazy = "def f():\n    from x3spatial.io import files\n"
    typed = "if TYPE_CHECKING:\n    import x3spatial.cli\nelse:\n    from . import files\n"
    assert imported(lazy, "x3spatial.cli", False, known) == {"x3spatial.io.files"}
    assert imported(typed, "x3spatial.io", True, known) == {"x3spatial.io.files"}
    assert imported("from .files import a", "x3spatial.io.png", False, known) == {
        "x3spatial.io.files"
    }
    circle = find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert circle is not None and circle[0] == circle[-1] and len(circle) == 4
    upward = {"x3spatial.io.files": {"x3spatial.cli"}, "x3spatial.cli": {"x3spatial.io.files"}}
    assert find_upward(upward, ["cli", "io"]) == ["x3spatial.io.files -> x3spatial.cli"]
    assert find_upward(upward, ["cli | io"]) == sorted(
        ["x3spatial.cli -> x3spatial.io.files", "x3spatial.io.files -> x3spatial.cli"]
    )


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("exporters/llava.py", "from x3spatial.models.huggingface import folder"),
        ("tasks/geometry.py", "import x3spatial.roots.layout"),
        ("synth/generate.py", "from x3spatial.builder.run import build_tasks"),
    ],
)
def test_the_contract_catches_it(module: str, line: str, tmp_path: Path) -> None:
    """import-linter itself, on a copy with one import that must not be."""
    shutil.copytree(
        ROOT / "src" / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("x3_tiny")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file = tmp_path / PACKAGE / module
    file.write_text(file.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    lint = "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"
    done = subprocess.run(
        [sys.executable, "-c", lint], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    name = module.removesuffix(".py").replace("/", ".")
    assert f"{PACKAGE}.{name} ->" in done.stdout and "BROKEN" in done.stdout
