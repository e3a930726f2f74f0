"""Inputs that a reader once failed on, and the valid ones that fuzzing begins with, are read or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.paths import FIXTURES

pytest.importorskip("torch")
pytest.importorskip("yaml")

from fuzzing.readers import READERS, Reader
from fuzzing.seeds import deep

CORPUS = FIXTURES / "fuzz"
FOUND = sorted(path for path in CORPUS.glob("*/*") if path.parent.name in READERS)


def _read(reader: Reader, data: bytes) -> bool:
    """Whether the reader takes the input; only its own errors may leave it."""
    try:
        reader.read(data)
    except reader.errors:
        return False
    return True


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once(path: Path) -> None:
    _read(READERS[path.parent.name], path.read_bytes())


@pytest.mark.parametrize("name", READERS)
def test_what_fuzzing_begins_with(name: str) -> None:
    reader = READERS[name]
    taken = [_read(reader, data) for data in reader.seeds()]
    assert any(taken), "no valid input"
    for data in (*deep(), b"", b"\0" * 100, *[data[: len(data) // 2] for data in reader.seeds()]):
        _read(reader, data)


def test_the_corpus_belongs_to_readers() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= READERS.keys()
