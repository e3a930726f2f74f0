"""A cache of answers across runs: an SQLite file that maps keys to JSON objects.

The key is a hash of everything that affects an answer.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from x3spatial.errors import UserError
from x3spatial.io.files import sha256_json

_APPLICATION_ID = 0x78334341
"""Identifies the file in its header: "x3CA"."""
_BUSY_SECONDS = 60.0


def cache_key(identity: Mapping[str, Any], prompt: str, images: list[str]) -> str:
    """Hash of everything that affects an answer.

    Args:
        identity: model and settings as JSON values.
        prompt: the text of the prompt.
        images: hash of the bytes of each image as it is sent, in order.
    """
    return sha256_json([dict(identity), prompt, images])


class AnswerCache:
    """Answers by key. Thread-safe; several processes may open the same file.

    Args:
        path: the file, which is created if it does not exist; its folder must exist.

    Raises:
        UserError: the file is not a cache of answers, is damaged, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        if not path.parent.is_dir():
            raise UserError(
                f"--cache {path}: the folder {path.parent} does not exist; make it first"
            )
        with self._explained():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._explained():
                self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        run = self._connection.execute
        # Checked before anything is written: a foreign file must not be changed. Another process may make the
        # file a cache between the two looks, so the first one is repeated.
        if (
            not self._is_ours()
            and run("SELECT count(*) FROM sqlite_master").fetchone()[0]
            and not self._is_ours()
        ):
            raise UserError(
                f"--cache {self.path}: an SQLite file, but no cache of answers; name another file"
            )
        self._refuse_torn()
        # Another process may create the table at the same moment.
        run("BEGIN IMMEDIATE")
        try:
            if not self._is_ours():
                run(f"PRAGMA application_id = {_APPLICATION_ID}")
                run(
                    "CREATE TABLE answers (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
                )
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise
        self._use_wal()
        # A power failure may lose the last answers, never the file.
        run("PRAGMA synchronous = NORMAL")
        run("SELECT key, value FROM answers LIMIT 1").fetchone()

    def _refuse_torn(self) -> None:
        """Detect damage before anything is written: SQLite reads a truncated page as zeros."""
        run = self._connection.execute
        whole = self.path.stat().st_size % run("PRAGMA page_size").fetchone()[0] == 0
        found = run("PRAGMA quick_check(1)").fetchone()[0] if whole else "cut short"
        if found != "ok":
            raise self._unusable(f"damaged: {' '.join(found.split())}")

    def _is_ours(self) -> bool:
        found = self._connection.execute("PRAGMA application_id").fetchone()[0]
        return bool(found == _APPLICATION_ID)

    def _use_wal(self) -> None:
        # SQLite does not wait if two processes switch at once. The mode is stored in the file, so it does not
        # matter which one succeeds; without it the cache is only slower.
        with contextlib.suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA journal_mode = WAL")

    def get(self, key: str) -> dict[str, Any] | None:
        """The value of ``key``; None if there is none.

        Raises:
            UserError: the file is damaged.
        """
        with self._lock, self._explained():
            row = self._connection.execute(
                "SELECT value FROM answers WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        try:
            value = json.loads(row[0])
        except (ValueError, TypeError):
            value = None
        if not isinstance(value, dict):
            raise self._unusable("damaged: an answer in it cannot be read")
        return value

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Store ``value`` unless ``key`` already has a value.

        Raises:
            UserError: the file is damaged or cannot be written.
        """
        # ASCII, because answers may contain lone surrogates, which UTF-8 cannot encode.
        text = json.dumps(dict(value), allow_nan=False)
        with self._lock, self._explained():
            self._connection.execute(
                "INSERT OR IGNORE INTO answers (key, value) VALUES (?, ?)", (key, text)
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from None

    def _unusable(self, why: str) -> UserError:
        return UserError(
            f"--cache {self.path}: cannot be used as a cache of answers: {why}; name another file,"
            " or remove this one"
        )
