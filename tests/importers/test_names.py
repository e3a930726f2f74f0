"""Names in the root, whatever the source calls its files."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.spheres import write_spheres
from x3spatial.importers.names import frame_names, safe_name, unique_names
from x3spatial.importers.run import import_scans
from x3spatial.roots.audit.run import audit
from x3spatial.roots.findings import MAX_FRAME_BYTES
from x3spatial.roots.names import FileName, parse_name

TEXTS = st.text(max_size=90)


@settings(deadline=None)
@given(TEXTS)
def test_a_safe_name_is_a_frame_of_a_root(text: str) -> None:
    name = safe_name(text)
    assert name and "/" not in name and not name.startswith(".") and name == safe_name(name)
    assert len(name.encode()) <= MAX_FRAME_BYTES
    parsed = parse_name(f"01_{name}_original.png", "p")
    assert parsed == FileName("01", name, "original")


@settings(deadline=None)
@given(st.lists(TEXTS.map(lambda text: text.replace("\0", "") + ".jpg"), max_size=8))
def test_names_are_unique(texts: list[str]) -> None:
    for found in (frame_names(texts), unique_names(texts)):
        assert list(found) == list(dict.fromkeys(texts))
        assert len(set(found.values())) == len(found)


def test_odd_names_of_scenes_and_objects(tmp_path: Path) -> None:
    scene = write_spheres(tmp_path / "source" / "my room (2) \u2013 kitchen\nA")
    text = (scene / "objects.json").read_text()
    (scene / "objects.json").write_text(text.replace('"id": 2,', '"id": 2, "uid": "../b x",'))
    summary = import_scans("posed", tmp_path / "source", tmp_path / "root", workers=1)
    assert summary.objects == 4 and not audit(tmp_path / "root").problems
    (folder,) = (tmp_path / "root" / "validation").iterdir()
    assert folder.name == "my-room-2-kitchen-A" and (folder / "uid_b-x").is_dir()
