#!/usr/bin/env python3
"""Make a release of x3spatial: everything up to the tag and the upload, which you do.

  release.py date [--date YYYY-MM-DD]   CHANGELOG.md: [Unreleased] becomes the version; CITATION.cff: its date
  release.py build [--dry-run]          check, test, build and check again; writes dist/ (make release)

`build` stops at the first thing that is not as it should be, with one line and exit code 2; repeat it then.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from release_tools import build, contents, sbom, words
from release_tools.bundled import bundled
from release_tools.words import ReleaseError

ROOT = Path(__file__).resolve().parents[1]
STAMP = ROOT / ".stamps" / "tested"
"""`make test` writes the commit that it has tested into it, where nothing else was in the tree."""


def main() -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    date = commands.add_parser("date", help="date the changelog and the citation")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    date.add_argument("--date", default=today, help="default: today (UTC)")
    make = commands.add_parser("build", help="check, test, build and check again")
    make.add_argument(
        "--dry-run", action="store_true", help="check only what needs no build; write nothing"
    )
    given = parser.parse_args()
    try:
        if given.command == "date":
            write_date(given.date)
        else:
            check_sources()
            if given.dry_run:
                say_plan()
            else:
                release()
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    return 0


def write_date(date: str) -> None:
    """Date the files and say what to do next."""
    changed = words.write_date(ROOT, date)
    number = words.version(ROOT)
    print(f"dated {number}: {date}")
    print(f"next: git commit -m 'Release {number}' {' '.join(changed)} && make release")


def check_sources() -> None:
    """What can be checked without a build.

    Raises:
        ReleaseError: The first thing that is wrong.
    """
    if changed := _git("status", "--porcelain").splitlines():
        more = f" ({len(changed)} such files)" if len(changed) > 1 else ""
        raise ReleaseError(f"{changed[0][3:]}: not committed{more}")
    for fault in words.faults(ROOT):
        raise ReleaseError(fault)
    bundled(ROOT)
    tag = f"v{words.version(ROOT)}"
    if _git("tag", "--list", tag) and _git("rev-list", "-n1", tag) != _git("rev-parse", "HEAD"):
        raise ReleaseError(
            f"the tag {tag} names another commit; raise __version__ in {words.PACKAGE}"
        )
    _say("sources", f"{tag}, clean tree, changelog and citation dated")


def say_plan() -> None:
    """What a real run would do."""
    if not tested():
        print("would run: make test")
    for name in files(words.version(ROOT)):
        print(f"would write: dist/{name}")


def files(version: str) -> list[str]:
    """The files of a release."""
    base = f"x3spatial-{version}"
    return [f"{base}-py3-none-any.whl", f"{base}.tar.gz", f"{base}.cdx.json", "SHA256SUMS"]


def tested() -> bool:
    """Whether `make test` has passed on this commit."""
    return STAMP.exists() and STAMP.read_text().strip() == _git("rev-parse", "HEAD")


def release() -> None:
    """Test, build into a temporary folder, check, and move into dist/.

    Raises:
        ReleaseError: See `check_sources`; what dist/ held stays then.
    """
    if not tested() and subprocess.run(["make", "test"], cwd=ROOT, check=False).returncode:
        raise ReleaseError("make test: failed")
    _say("tests", f"make test passed on {_git('rev-parse', '--short', 'HEAD')}")
    version = words.version(ROOT)
    epoch = int(_git("log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory(prefix="x3-release-") as name:
        out, source = Path(name) / "out", Path(name) / "source"
        source.mkdir()
        build.export(ROOT, source)
        wheel, sdist = build.build(source, out, epoch)
        again = build.wheel_of(source, Path(name) / "again", epoch)
        if again.read_bytes() != wheel.read_bytes():
            raise ReleaseError(
                f"{wheel.name}: the wheel of the sdist and that of the commit differ"
            )
        tracked = _git("ls-files").splitlines()
        for fault in contents.wheel_faults(wheel, tracked) + contents.sdist_faults(sdist, tracked):
            raise ReleaseError(fault)
        for file in (wheel, sdist):
            _say("built", f"{file.name}, {file.stat().st_size:,} bytes")
        _twine(wheel, sdist)
        document = out / f"x3spatial-{version}.cdx.json"
        sbom.write_sbom(wheel, ROOT, document, epoch)
        _say("SBOM", f"{document.name}, valid CycloneDX {sbom.SPEC}")
        sums = out / "SHA256SUMS"
        sums.write_text("".join(map(_sum, (wheel, sdist, document))))
        keep(out, [out / name for name in files(version)])
    say_next(version)


def keep(folder: Path, made: list[Path]) -> None:
    """Copy the files into dist/, where nothing else may have their names.

    Raises:
        ReleaseError: dist/ has a file of this name with other bytes.
    """
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    for file in made:
        there = dist / file.name
        if there.exists() and file.name != "SHA256SUMS" and there.read_bytes() != file.read_bytes():
            raise ReleaseError(f"dist/{file.name}: is there already with other bytes; remove it")
    for file in made:
        part = dist / f".{file.name}.part"
        shutil.copyfile(file, part)
        part.replace(dist / file.name)


def say_next(version: str) -> None:
    """The commands that publish, which this script never runs."""
    base = f"dist/x3spatial-{version}"
    print("next, by hand:")
    print(f"  git tag -s v{version} -m 'x3spatial {version}' && git push origin main v{version}")
    print(f"  twine upload {base}-py3-none-any.whl {base}.tar.gz")
    print(f"  attach {base}.cdx.json and dist/SHA256SUMS to the release on the project's page")


def _twine(*made: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        raise ReleaseError(f"twine check --strict: {lines[-1]}")
    _say("twine", "check --strict passed")


def _sum(file: Path) -> str:
    return f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.rstrip("\n")


def _say(step: str, text: str) -> None:
    print(f"{step + ':':<9}{text}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
