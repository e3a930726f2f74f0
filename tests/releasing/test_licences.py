"""docs/third-party-licences.md: current, complete, and a note for whatever binds users."""

from __future__ import annotations

import re
import sys

import pytest

from helpers.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import make_licences

ROW = re.compile(r"^\| (\S+) \| (\S+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
PAGE = make_licences.PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows() -> dict[str, tuple[str, str, set[str]]]:
    """Canonical name → (version, licence, who brings it)."""
    installed = PAGE.partition("## Installed by pip")[2]
    return {
        make_licences.canonical(name): (version, licence, set(by.split(", ")))
        for name, version, licence, by in ROW.findall(installed)
        if name != "package" and not name.startswith("-")
    }


def test_versions_are_those_of_the_constraints(rows: dict[str, tuple[str, str, set[str]]]) -> None:
    lines = (REPOSITORY / "requirements/constraints.txt").read_text().splitlines()
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", "\n".join(lines), re.MULTILINE))
    pinned = {make_licences.canonical(name): version for name, version in pins.items()}
    assert len(rows) > 100
    other = {n: (v, pinned[n]) for n, (v, _, _) in rows.items() if n in pinned and v != pinned[n]}
    assert not other, "run: make licences"


def test_everything_that_an_extra_brings_is_there(
    rows: dict[str, tuple[str, str, set[str]]],
) -> None:
    """As far as this environment has it; what it has not (`scans`) at least by name."""
    needs = make_licences.installed_needs(sys.executable)
    for extra, wanted in make_licences.extras().items():
        names = make_licences.closure(wanted, needs)
        assert names <= set(rows), f"{extra}: run: make licences"
        for name in names:
            assert rows[name][2] == {"core"} or extra in rows[name][2], name
        direct = {re.match(r"[\w.-]+", line)[0] for line in wanted}  # type: ignore[index]
        elsewhere = {"x3spatial", "numba"}  # numba: on Linux aarch64
        assert {make_licences.canonical(name) for name in direct} - elsewhere <= set(rows)


def test_what_binds_users_is_noted(rows: dict[str, tuple[str, str, set[str]]]) -> None:
    binding = {name for name, (_, licence, _) in rows.items() if re.search("GPL|MPL", licence)}
    assert {"plyfile", "certifi"} <= binding
    notes = PAGE.partition("## What to know")[2].partition("\n## ")[0]
    assert all(f"\n- {name}: " in notes for name in binding | {"av", "opencv-python-headless"})
    for name in ("plyfile", "av"):  # under the GPL, or with code under it
        assert rows[name][2] == {"scans"}, f"{name} is brought by {rows[name][2]}"
    assert not {licence for _, licence, _ in rows.values()} & {"UNKNOWN", ""}


def test_requirements_are_followed_with_their_markers() -> None:
    needs = {
        "a": ["B_b>=1", "c; extra == 'more'", "d; python_version < '3'", "missing"],
        "b-b": ["a"],
        "c": [],
    }
    assert make_licences.closure(["A"], needs) == {"a", "b-b"}
    assert make_licences.closure(["a[more]"], needs) == {"a", "b-b", "c"}
