"""YAML that is damaged or hostile is refused in bounded time, with the file and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from x3spatial.errors import UserError

pytest.importorskip("yaml")

from x3spatial.io.yaml_files import MAX_BYTES, read_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)
REFUSED = {
    "aliases of aliases": (BOMB.encode(), "more than 100,000 values"),
    "aliases in keys": (BOMB.encode() + b"? *m\n: 1\n", "more than 100,000 values"),
    "a value within itself": (b"a: &a [*a]\n", "an alias stands for what it is a part of"),
    "a mapping within itself": (b"&a {b: *a}\n", "an alias stands for what it is a part of"),
    "nested lists": (b"[" * 50_000, "nested too deep"),
    "nested mappings": (b"{a: " * 50_000, "nested too deep"),
    "a key twice": (b"a: 1\nb: 2\na: 3\n", "key 'a' occurs twice"),
    "a key twice, below": (b"a: [{b: 1, b: 2}]\n", "key 'b' occurs twice"),
    "month 13": (b"a: 2001-13-01\n", "month"),
    "a date that is none": (b"a: !!timestamp x\n", "cannot be read as YAML"),
    "a number that is none": (b"a: !!int ''\n", "cannot be read as YAML"),
    "a number of many digits": (b"a: " + b"9" * 5000, "cannot be read as YAML"),
    "a list as a key": (b"? [a]\n: b\n", "unhashable key"),
    "Python": (b"a: !!python/object/apply:os.system ['false']\n", "could not determine a constructor"),
    "two documents": (b"a: 1\n---\nb: 2\n", "expected a single document"),
    "bytes": (b"a: \xff\n", "cannot be read as YAML"),
    "a control character": (b"a: \x07\n", "special characters are not allowed"),
    "a large file": (b" " * (MAX_BYTES + 1), "more than 1,048,576 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    data, reason = REFUSED[name]
    path = tmp_path / "r.yaml"
    path.write_bytes(data)
    with pytest.raises(UserError, match=reason) as caught:
        read_yaml(path, "recipe")
    message = str(caught.value)
    assert message.startswith(f"recipe {path}: ") and "\n" not in message and len(message) < 600


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    for name, reason in (
        ("fifo", "not a regular file"),
        ("none", "no such file"),
        (".", "folder|direct"),
    ):
        with pytest.raises(UserError, match=reason):
            read_yaml(tmp_path / name, "recipe")


def test_ordinary_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    for data, value in (
        (b"a: &x {b: 1}\nc: {<<: *x, d: 2}\n", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
        (b"", None),
        (b"[1, 1.5, yes, ~, '1']", [1, 1.5, True, None, "1"]),
    ):
        path.write_bytes(data)
        assert read_yaml(path, "recipe") == value
