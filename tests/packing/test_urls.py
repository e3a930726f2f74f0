"""Packs behind URLs; ``memory://`` is a file system of fsspec inside this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import x3spatial as x3
from packing.conftest import Packed
from x3spatial.io import packs
from x3spatial.io.locations import UrlFolder, url_of

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("spelling", [str, Path])
def test_written_and_evaluated(packed: Packed, tmp_path: Path, memory: Any, spelling: Any) -> None:
    place = spelling("memory://bucket/packs/one")
    made = x3.pack(packed.json(), place, shard_size="60K", workers=2)
    assert made.place == "memory://bucket/packs/one"
    x3.pack(packed.json(), tmp_path / "one", shard_size="60K")
    local = {
        p.relative_to(tmp_path / "one").as_posix(): p
        for p in (tmp_path / "one").rglob("*")
        if p.is_file()
    }
    local.pop(".x3-lock", None)
    found = {
        p.removeprefix("/bucket/packs/one/"): memory.cat(p)
        for p in memory.find("/bucket/packs/one")
    }
    assert found == {name: path.read_bytes() for name, path in local.items()}
    x3.evaluate(packed.json(), tmp_path / "a.json", "sift", limit=8)
    x3.evaluate(
        spelling("memory://bucket/packs/one/t1_val_multi"), tmp_path / "b.json", "sift", limit=8
    )
    a, b = x3.read_results(tmp_path / "a.json"), x3.read_results(tmp_path / "b.json")
    assert a.metrics == b.metrics and b.data.path == "memory://bucket/packs/one/t1_val_multi"
    assert not x3.pack(packed.json(), place, shard_size="60K").written
    x3.score(tmp_path / "b.json", "memory://bucket/packs/one", tmp_path / "c.json")
    x3.compare(tmp_path / "a.json", tmp_path / "b.json", by=["size"])
    x3.report([tmp_path / "b.json"], tmp_path / "report")
    assert any((tmp_path / "report" / "images").rglob("*.webp"))


def test_an_evaluation_reads_the_manifest_once(
    packed: Packed, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x3.pack(packed.json(), "memory://once", shard_size="60K")
    packs._opened.clear()
    asked: list[str] = []
    for name in ("read", "size"):
        real = getattr(UrlFolder, name)

        def counted(self: Any, file: str, *args: Any, real: Any = real, name: str = name) -> Any:
            asked.append(f"{name} {file}")
            return real(self, file, *args)

        monkeypatch.setattr(UrlFolder, name, counted)
    place = "memory://once/t1_val_multi"
    x3.evaluate(place, tmp_path / "a.json", "centre", limit=4)
    x3.score(tmp_path / "a.json", place, tmp_path / "b.json")
    # The first call looks for a manifest in the set and finds that of the pack.
    assert [call for call in asked if call == "read x3-pack.json"] == ["read x3-pack.json"] * 2
    sizes = [call for call in asked if call.startswith("size")]
    assert len(sizes) == len(set(sizes)) > 1
    # A pack that is written again is noticed.
    other = tmp_path / "t1_val_multi.json"
    other.write_text(json.dumps(json.loads(packed.json().read_text())[:3]))
    x3.pack(other, "memory://once", shard_size="60K")
    assert x3.evaluate(place, tmp_path / "c.json", "centre").metrics["total"] == 3


def test_resumed(packed: Packed, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from x3spatial.packs.output import Output

    whole = x3.pack(packed.json(), "memory://whole", shard_size="60K")
    expected = {p.removeprefix("/whole"): memory.cat(p) for p in memory.find("/whole")}
    real, done = Output.keep, []

    def keep(*args: Any) -> None:
        real(*args)
        done.append(1)
        if len(done) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Output, "keep", keep)
    with pytest.raises(KeyboardInterrupt):
        x3.pack(packed.json(), "memory://torn", shard_size="60K", workers=1)
    monkeypatch.undo()
    again = x3.pack(packed.json(), "memory://torn", shard_size="60K")
    assert again.shards_kept == 2 and again.manifest == whole.manifest
    assert {p.removeprefix("/torn"): memory.cat(p) for p in memory.find("/torn")} == expected


def test_what_others_wrote_stays(packed: Packed, memory: Any) -> None:
    memory.pipe("/taken/t1_val_multi/data.csv", b"mine")
    with pytest.raises(x3.UserError, match=r"memory://taken: holds t1_val_multi/data\.csv"):
        x3.pack(packed.json(), "memory://taken")
    assert memory.find("/taken") == ["/taken/t1_val_multi/data.csv"]


def test_damage_names_the_url(packed: Packed, memory: Any, tmp_path: Path) -> None:
    x3.pack(packed.json(), "memory://p")
    shard = "/p/t1_val_multi/part-00000.parquet"
    data = memory.cat(shard)
    memory.pipe(shard, data[:-9])
    with pytest.raises(
        x3.UserError, match=r"memory://p/t1_val_multi/part-00000\.parquet: has .* bytes"
    ):
        x3.evaluate("memory://p", tmp_path / "r.json", "centre")
    memory.rm(shard)
    with pytest.raises(x3.UserError, match=r"part-00000\.parquet: is missing"):
        x3.evaluate("memory://p", tmp_path / "r.json", "centre")


_Base: Any = fsspec.AbstractFileSystem


class _Failing(_Base):
    """A bucket that answers as S3 does without credentials, or is not there."""

    protocol = "failing"
    cachable = False
    error: Exception = PermissionError("Access Denied")

    def _raise(self, *args: Any, **kwargs: Any) -> Any:
        raise self.error

    cat_file = size = find = pipe_file = put_file = makedirs = open = rm_file = _raise


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("Access Denied"), "PermissionError: Access Denied"),
        (ValueError("Unable to\nlocate credentials"), "Unable to locate credentials"),
        (
            FileNotFoundError("The specified bucket does not exist"),
            "no pack of x3 pack|no such bucket",
        ),
        (
            ImportError("Install s3fs to access S3"),
            r'Install s3fs.*pip install "x3spatial\[cloud\]"',
        ),
        (OSError("timed out"), "timed out"),
    ],
)
def test_errors_of_a_file_system_are_one_line(
    packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    fsspec.register_implementation("failing", _Failing, clobber=True)
    monkeypatch.setattr(_Failing, "error", error)
    calls = (
        lambda: x3.evaluate("failing://b/p/set", tmp_path / "r.json", "centre"),
        lambda: x3.pack(packed.json(), "failing://b/p"),
    )
    for call in calls:
        with pytest.raises(x3.UserError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value) and "failing://b/p" in str(caught.value)


def test_unknown_schemes_and_missing_packages(
    packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(x3.UserError, match=r"nosuch://a/b: .*[Pp]rotocol not known"):
        x3.read_tasks("nosuch://a/b")
    import sys

    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(
        x3.UserError, match=r"'fsspec' is not installed; run: pip install .x3spatial\[cloud\]"
    ):
        x3.read_tasks("memory://q/b")


def test_a_file_url_is_a_path(packed: Packed, tmp_path: Path) -> None:
    copy = shutil.copytree(packed.pack, tmp_path / "p")
    assert x3.read_tasks(f"file://{copy}/t1_val_multi") == x3.read_tasks(packed.set())


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://b/x", "s3://b/x"), ("s3:/b/x", "s3://b/x"), ("hf://datasets/a/b", "hf://datasets/a/b"),
        ("simplecache::s3://b/x", "simplecache::s3://b/x"), ("/data/x", None), ("C:/data", None),
        ("tasks/t1.json", None), ("file:///data", None),
    ],
)  # fmt: skip
def test_urls(text: str, url: str | None) -> None:
    assert url_of(text) == url
    assert url_of(Path(text)) == url


def test_command_lines(packed: Packed, tmp_path: Path, memory: Any, capsys: Any) -> None:
    from x3spatial.cli import run

    assert run(["pack", str(packed.json()), "-o", "memory://c/p", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["place"] == "memory://c/p" and value["sets"]["t1_val_multi"]["records"] > 0
    results = ["--model", "centre", "-o", str(tmp_path / "r.json")]
    assert run(["eval", "memory://c/p/t1_val_multi", *results]) == 0
    assert run(["eval", "memory://c/none", *results]) == 2
    assert "memory://c/none: no pack" in capsys.readouterr().err
