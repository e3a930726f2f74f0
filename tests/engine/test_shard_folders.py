"""The folders of shards: which names are ours."""

from __future__ import annotations

from pathlib import Path

from x3spatial.engine.shards import MOST, Shard, shard_folders


def test_names_that_no_shard_has_are_not_read(tmp_path: Path) -> None:
    for name in (
        f".shard-1-of-{MOST}", ".shard-2-of-3", f".shard-1-of-{MOST + 1}", ".shard-1-of-999999",
        ".shard-4-of-3", ".shard-0-of-3", ".shard-01-of-3", ".shard-1-of-3.old", "shard-1-of-3",
    ):  # fmt: skip
        (tmp_path / name).mkdir()
    (tmp_path / ".shard-3-of-3").write_text("a file")
    (tmp_path / ".shard-1-of-2").symlink_to(tmp_path / ".shard-2-of-3")
    assert list(shard_folders(tmp_path)) == [Shard(2, 3), Shard(1, MOST)]
