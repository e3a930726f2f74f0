"""Reading and writing of JSON arrays one element at a time, in constant memory."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from x3spatial.errors import UserError
from x3spatial.io.files import naming, replacing
from x3spatial.io.opening import open_part, open_text, part_path

_CHUNK = 1 << 16
_SPACE = " \t\r\n"


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dictionary (``object_pairs_hook``), of which no key may be dropped.

    Raises:
        ValueError: a key occurs twice; readers of JSON do not agree on which value counts.
    """
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DuplicateKey(f"key {twice[:80]!r} occurs twice in an object")
    return value


class DuplicateKey(ValueError):
    """A JSON object with a key that occurs twice."""


def iter_array(
    path: Path,
    *,
    what: str = "task file",
    decoder: json.JSONDecoder | None = None,
    after: str | None = None,
) -> Iterator[Any]:
    """The elements of the JSON array in ``path``, decoded one at a time.

    A file whose name ends in ``.jsonl`` holds one element per line instead (JSON Lines, jsonlines.org).

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        what: how messages call it.
        decoder: decodes the elements; None: as ``json.loads`` does, but refusing a key that occurs twice.
        after: the text before the array, which is the last value of an object; None: the array is the whole
            text.

    Raises:
        UserError: the file is missing, unreadable or not a JSON array.
    """
    try:
        with open_text(path) as file:
            text = _Buffer(file, decoder or json.JSONDecoder(object_pairs_hook=unique_keys))
            if after is not None:
                text.skip_to(after)
                yield from _array_values(text, "}")
            elif path.suffix.lower() == ".jsonl":
                yield from _line_values(text)
            else:
                yield from _array_values(text)
    except FileNotFoundError:
        raise UserError(f"{path}: no such {what}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name one of the {what}s in it") from None
    except _NoArrayError as error:
        raise UserError(f"{path}: expected a JSON array of records{error}") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot read this {what}: {reason}") from None
    except ValueError as error:
        raise UserError(f"{path}: cannot read this {what}: {error}") from None
    except RecursionError:
        raise UserError(f"{path}: cannot read this {what}: nested too deep") from None


class _NoArrayError(Exception):
    """The text does not begin with an array; the message is a hint."""


def _line_values(text: _Buffer) -> Iterator[Any]:
    """The values in ``text``, decoded as soon as each is complete.

    Raises:
        ValueError: there is something else.
    """
    while text.next_character():
        yield text.value()


def _array_values(text: _Buffer, end: str = "") -> Iterator[Any]:
    """The elements of the array in ``text``, decoded as soon as each is complete; ``end`` comes after it.

    Raises:
        _NoArrayError: it does not begin with an array.
        ValueError: the array is malformed, or not all of the text.
    """
    mark = text.next_character()
    if mark != "[":
        one_per_line = "; name it .jsonl if it has one record per line"
        raise _NoArrayError(one_per_line if mark == "{" else " (is this a task file of x3 build?)")
    text.skip()
    mark = text.next_character()
    if not mark:
        raise ValueError("found the end of the file")
    if mark == "]":
        text.skip()
    while mark != "]":
        yield text.value()
        mark = text.next_character()
        text.skip()
        if mark not in (",", "]"):
            raise ValueError(
                f"expected ',' or ']' between records, found {mark or 'the end of the file'!r}"
            )
    if end:
        if text.next_character() != end:
            raise ValueError(f"expected {end!r} after the records")
        text.skip()
    if text.next_character():
        raise ValueError("text after the end of the array")


class _Buffer:
    """A buffer over the part of a file that is being decoded."""

    def __init__(self, file: IO[str], decoder: json.JSONDecoder) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._decoder = decoder

    def _more(self) -> bool:
        chunk = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return bool(chunk)

    def next_character(self) -> str:
        """The next non-blank character, not consumed; empty at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def skip_to(self, mark: str) -> None:
        """Consume everything up to and including ``mark``.

        Raises:
            ValueError: it does not occur.
        """
        while (place := self._text.find(mark, self._at)) < 0:
            self._at = max(self._at, len(self._text) - len(mark))
            if not self._more():
                raise ValueError(f"found no {mark.strip()!r}")
        self._at = place + len(mark)

    def skip(self) -> None:
        """Consume one character."""
        self._at += 1

    def value(self) -> Any:
        """Decode and consume the next JSON value.

        Raises:
            ValueError: no JSON value begins there.
        """
        self.next_character()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except DuplicateKey:
                raise
            except ValueError:
                if not self._more():
                    raise
                continue
            # A number may continue in the next chunk; objects and arrays have a closing bracket.
            if end == len(self._text) and self._more():
                continue
            self._at = end
            return value


class JsonArrayWriter:
    """Writes a JSON array, one record per line, in constant memory; the file appears when it is complete.

    Use as a context manager. If the block raises, the target is not changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self._file = io.TextIOWrapper(open_part(self.path), encoding="utf-8")
        self._file.write("[")
        return self

    def write(self, record: Any) -> None:
        """Append one record."""
        assert self._file is not None, "used outside its with block"
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        with naming(self.path):
            self._file.write(("\n" if self.count == 0 else ",\n") + text)
        self.count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._file is not None
        if kind is None:
            with replacing(self.path), self._file:
                self._file.write("]\n" if self.count == 0 else "\n]\n")
                self._file.flush()
                os.fsync(self._file.fileno())
            return
        with suppress(OSError):  # what is buffered does not matter
            self._file.close()
        part_path(self.path).unlink(missing_ok=True)
