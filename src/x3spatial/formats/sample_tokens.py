"""Opaque names of samples, for questions that are given to people.

An id tells the task, the scene and sometimes the answer (``…_SAME``). A token is a keyed hash of it, and the
key is a hash of all ids and right answers of the task file: whoever has the task file can turn tokens back
into ids, and nobody else, so no file with a key has to be kept. The key does not depend on paths.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import sha256_json

PREFIX = "ask_"
"""How every token begins."""
_DIGITS = 20


class SampleTokens:
    """The tokens of one task file.

    Args:
        records: all records of the task file, in its order.
    """

    def __init__(self, records: Sequence[TaskRecord]) -> None:
        self._key = sha256_json([[record.id, record.answer] for record in records]).encode()

    def of(self, id: str) -> str:
        """The token of a sample's id."""
        return PREFIX + self.digest("id", id.encode())

    def ids(self, records: Iterable[TaskRecord]) -> dict[str, str]:
        """Token → id."""
        return {self.of(record.id): record.id for record in records}

    def digest(self, what: str, value: bytes) -> str:
        """A name for any other value, as opaque as a token."""
        found = hmac.new(self._key, what.encode() + b"\0" + value, hashlib.sha256)
        return found.hexdigest()[:_DIGITS]
