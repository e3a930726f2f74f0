"""`scripts/release.py`: the dates it writes, what it refuses, and a release in a clone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
from release_tools import words
from release_tools.bundled import TEXTS, bundled

URL = "https://example.org/x"
BEFORE = """# Changelog

Words about [the form](https://example.org/form).

## [Unreleased]

### Added
- One thing ([page](docs/page.md)).

## [0.1.0] - 2025-01-02

### Added
- The first.
"""
AFTER = """# Changelog

Words about [the form](https://example.org/form).

## [Unreleased]

## [0.2.0] - 2026-11-26

### Added
- One thing ([page](docs/page.md)).

## [0.1.0] - 2025-01-02

### Added
- The first.

[Unreleased]: https://example.org/x/compare/v0.2.0...HEAD
[0.2.0]: https://example.org/x/compare/v0.1.0...v0.2.0
[0.1.0]: https://example.org/x/releases/tag/v0.1.0
"""


def test_the_changelog_is_dated() -> None:
    assert words.dated(BEFORE, "0.2.0", "2026-11-26", URL) == AFTER
    linked = words.with_links(BEFORE, URL)
    assert linked != BEFORE and words.with_links(linked, URL) == linked
    assert words.dated(linked, "0.2.0", "2026-11-26", URL) == AFTER
    assert words.unreleased(linked) == "### Added\n- One thing ([page](docs/page.md))."


@pytest.mark.parametrize(
    ("changelog", "version", "named"),
    [
        (AFTER, "0.2.0", r"\[0.2.0\] is there already, dated 2026-11-26"),
        (AFTER, "0.3.0", "nothing stands below"),
        ("# Changelog\n", "0.2.0", "no heading"),
    ],
)
def test_a_changelog_that_cannot_be_dated(changelog: str, version: str, named: str) -> None:
    with pytest.raises(words.ReleaseError, match=named):
        words.dated(changelog, version, "2026-11-26", URL)


def test_the_citation_is_that_of_the_version() -> None:
    """The dates too, once the changelog has one."""
    number = words.version(REPOSITORY)
    changelog = (REPOSITORY / words.CHANGELOG).read_text(encoding="utf-8")
    citation = (REPOSITORY / words.CITATION).read_text(encoding="utf-8")
    date = words.releases(changelog).get(number)
    dates = {line.partition(": ")[2] for line in citation.splitlines() if "date-released" in line}
    assert f"\nversion: {number}\n" in citation and len(dates) == 1
    assert words.cited(citation, number, date or dates.pop()) == citation
    url = words.repository_url(REPOSITORY)
    assert words.with_links(changelog, url) == changelog, "run: scripts/release.py date"


def test_only_init_has_the_version() -> None:
    import x3spatial

    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert words.version(REPOSITORY) == x3spatial.__version__
    assert 'dynamic = ["version"]' in project and x3spatial.__version__ not in project


def test_bundled_libraries_are_those_of_the_lock_file(tmp_path: Path) -> None:
    names = {library.name for library in bundled(REPOSITORY)}
    assert {"preact", "@preact/signals"} <= names
    for path in (TEXTS, "web/package-lock.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / path, tmp_path / path)
    texts = tmp_path / TEXTS
    texts.write_text(texts.read_text().replace("\npreact 1", "\npreact 9"))
    with pytest.raises(words.ReleaseError, match=r"preact 9\S* \(MIT\) is not what"):
        bundled(tmp_path)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the working tree's files as its only commit, `v0.1.0` before it."""
    folder = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("no git, or no repository")
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    changelog = folder / words.CHANGELOG
    if words.version(folder) in words.releases(changelog.read_text(encoding="utf-8")):
        init = folder / words.PACKAGE
        init.write_text(init.read_text().replace(f'"{words.version(folder)}"', '"9.9.9"'))
        text = changelog.read_text(encoding="utf-8")
        head = "## [Unreleased]\n"
        changelog.write_text(text.replace(head, f"{head}\n### Added\n- A thing.\n", 1))
        commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Files")


def release(folder: Path, *arguments: str, python: str = sys.executable) -> tuple[int, str, str]:
    done = subprocess.run(
        [python, "scripts/release.py", *arguments], cwd=folder, capture_output=True, text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_what_has_to_be_done_before_is_named_one_thing_at_a_time(clone: Path) -> None:
    version = words.version(clone)
    code, _, error = release(clone, "build", "--dry-run")
    assert (code, error) == (
        2, f"release: CHANGELOG.md: no dated [{version}]; run: python scripts/release.py date\n",
    )  # fmt: skip
    assert release(clone, "date", "--date", "soon")[2].endswith("--date soon: write YYYY-MM-DD\n")
    assert not git(clone, "status", "--porcelain")
    code, out, _ = release(clone, "date", "--date", "2031-02-03")
    assert code == 0 and "git commit" in out
    assert f"## [{version}] - 2031-02-03" in (clone / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "\ndate-released: 2031-02-03\n" in (clone / "CITATION.cff").read_text(encoding="utf-8")
    code, _, error = release(clone, "build", "--dry-run")
    assert code == 2 and error.count("\n") == 1 and "not committed" in error
    commit(clone)
    code, out, error = release(clone, "build", "--dry-run")
    assert (code, error) == (0, "")
    assert "would run: make test" in out and f"dist/x3spatial-{version}.tar.gz" in out
    assert not (clone / "dist").exists() and not git(clone, "status", "--porcelain")
    citation = clone / "CITATION.cff"
    citation.write_text(citation.read_text(encoding="utf-8").replace("2031-02-03", "2031-02-04"))
    commit(clone)
    code, _, error = release(clone, "build", "--dry-run")
    assert code == 2 and "date-released is 2031-02-04, not 2031-02-03" in error
    git(clone, "revert", "--no-edit", "HEAD")
    git(clone, "tag", f"v{version}", "HEAD~1")
    assert f"the tag v{version} names another commit" in release(clone, "build", "--dry-run")[2]


@pytest.mark.peer
def test_a_release_in_a_clone(clone: Path) -> None:
    """With the tools of `make release`, but for `make test`, whose stamp is written here."""
    if "X3_PEER_RELEASE" not in os.environ:
        pytest.skip(
            "X3_PEER_RELEASE: no environment of the release's tools; see make check-release"
        )
    python = os.environ["X3_PEER_RELEASE"]
    version = words.version(clone)
    release(clone, "date")
    commit(clone)
    (clone / ".stamps").mkdir()
    (clone / ".stamps/tested").write_text(git(clone, "rev-parse", "HEAD"))
    code, out, error = release(clone, "build", python=python)
    assert (code, error) == (0, ""), error
    assert "twine upload" in out and f"git tag -s v{version}" in out
    assert git(clone, "tag") == "" and git(clone, "status", "--porcelain") == ""
    dist = clone / "dist"
    first = {path.name: path.read_bytes() for path in dist.iterdir()}
    assert len(first) == 4
    for line in first["SHA256SUMS"].decode().splitlines():
        digest, name = line.split()
        assert hashlib.sha256(first[name]).hexdigest() == digest
    document = json.loads(first[f"x3spatial-{version}.cdx.json"])
    names = {component["name"] for component in document["components"]}
    assert {"numpy", "typer", "preact", "@preact/signals"} <= names and "torch" not in names
    assert document["metadata"]["component"]["version"] == version
    assert "/tmp" not in first[f"x3spatial-{version}.cdx.json"].decode()
    code, _, error = release(clone, "build", python=python)
    assert (code, error) == (0, "")
    assert {path.name: path.read_bytes() for path in dist.iterdir()} == first
    (dist / f"x3spatial-{version}.tar.gz").write_bytes(b"of somebody else")
    code, _, error = release(clone, "build", python=python)
    assert code == 2 and error.endswith("is there already with other bytes; remove it\n")
