"""The built pages in the package: small, whole, self-contained, and built from the sources beside them."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import re
import tomllib

from helpers.paths import REPOSITORY, SRC

WEB = REPOSITORY / "web"
PACKAGE = SRC / "x3spatial" / "reports" / "web"
ASSETS = PACKAGE / "assets"
LIMIT = 400 * 1024
"""Bytes of all built files, each compressed with gzip."""


def test_the_built_files_are_small() -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in ASSETS.iterdir()}
    assert {"report.js", "report.css", "ask.js", "THIRD_PARTY.txt"} <= set(sizes)
    assert sum(sizes.values()) <= LIMIT, sizes


def test_the_built_files_belong_to_the_sources() -> None:
    # The same sum as in web/build.mjs; `make check-web` compares the bytes, which needs Node.
    names = [p.relative_to(WEB).as_posix() for p in (WEB / "src").rglob("*") if p.is_file()]
    total = hashlib.sha256()
    for name in sorted([*names, "build.mjs", "package-lock.json"]):
        total.update(f"{name}\n".encode())
        total.update((WEB / name).read_bytes())
        total.update(b"\n")
    built = (WEB / "sources.sha256").read_text().strip()
    assert built == total.hexdigest(), "web/ was changed after the last `make web`"


def test_the_files_load_nothing_from_elsewhere() -> None:
    for path in [*ASSETS.glob("*.js"), *ASSETS.glob("*.css")]:
        text = path.read_text("utf-8")
        # The names of namespaces are no addresses.
        found = set(re.findall(r"https?://[\w.]+", text)) - {"http://www.w3.org"}
        assert found == set(), path.name
        assert "@import" not in text and "eval(" not in text and "new Function" not in text
        assert "dangerouslySetInnerHTML" not in text or "__html" in text  # Preact's own name for it
    for path in (WEB / "src").rglob("*.ts*"):
        forbidden = r"innerHTML|insertAdjacentHTML|document\.write|__html"
        assert not re.search(forbidden, path.read_text("utf-8")), path


def test_the_page_has_a_policy_and_no_script_of_its_own() -> None:
    text = (PACKAGE / "index.html").read_text("utf-8")
    policy = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert len(policy) == 1 and "default-src 'none'" in policy[0] and "unsafe" not in policy[0]
    assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL) == [""]
    assert not re.search(r"\son\w+=|\sstyle=|<style", text)


def test_licences_of_all_that_is_built_in_are_shipped() -> None:
    text = (ASSETS / "THIRD_PARTY.txt").read_text("utf-8")
    for name in ("preact", "@preact/signals", "@preact/signals-core"):
        assert re.search(rf"^{re.escape(name)} [\d.]+ \(MIT\)$", text, re.MULTILINE)
    assert text.count("Permission is hereby granted") >= 3
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["x3spatial"]
    for path in (PACKAGE / "index.html", ASSETS / "report.js"):
        name = path.relative_to(SRC / "x3spatial").as_posix()
        assert any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns), name


def test_the_lock_file_holds_versions_and_no_addresses() -> None:
    text = (WEB / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in text
    addresses = set(re.findall(r'"(https?://[^"/]+)', text))
    assert not {a for a in addresses if "regist" in a or "mirror" in a}
    declared = re.findall(r'": "([\^~]?\d[^"]*)"', (WEB / "package.json").read_text("utf-8"))
    assert declared and not [version for version in declared if version[0] in "^~"]
