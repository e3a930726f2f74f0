"""Logs of inspect_ai: ``.eval`` (a zip archive with a JSON file per sample) and ``.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.formats.answers.base import (
    MOST_BYTES,
    AnswerFields,
    AnswersReader,
    AnswerText,
    BadEntry,
    one_text,
)
from x3spatial.io.files import read_json

if sys.version_info >= (3, 14):
    import zipfile
else:
    try:  # the archives are compressed with Zstandard, which zipfile knows since Python 3.14
        from backports.zstd import zipfile
    except ImportError:
        import zipfile  # type: ignore[no-redef]

_SAMPLES = "samples/"
_HEADER = "header.json"


class InspectArchive(AnswersReader):
    """``.eval``; the id of a sample is that of the task's data set."""

    describes = "a log of inspect_ai"

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        return path.suffix.lower() == ".eval" and head.startswith("PK")

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        with _archive(path) as archive:
            names = [name for name in archive.namelist() if name.startswith(_SAMPLES)]
            for name in names:
                if archive.getinfo(name).file_size > MOST_BYTES:
                    yield BadEntry(name, f"has more than {MOST_BYTES:,} bytes")
                    continue
                try:
                    value = json.loads(archive.read(name))
                except (ValueError, RecursionError, zipfile.BadZipFile) as error:
                    yield BadEntry(name, f"cannot be read: {error}")
                    continue
                except NotImplementedError as error:
                    raise UserError(
                        f"{path}: {error}; install what reads it: pip install 'x3spatial[logs]'"
                    ) from None
                yield _entry(value, name)

    def declares(self, path: Path) -> Mapping[str, str]:
        """See ``AnswersReader.declares``."""
        with _archive(path) as archive:
            if _HEADER not in archive.namelist():  # the run was interrupted
                return {}
            if archive.getinfo(_HEADER).file_size > MOST_BYTES:
                return {}
            try:
                return _model(json.loads(archive.read(_HEADER)))
            except (ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError):
                return {}


class InspectJson(AnswersReader):
    """``.json``, as ``inspect log convert`` and ``--log-format json`` write it."""

    describes = InspectArchive.describes

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        return (
            path.suffix.lower() == ".json"
            and head.startswith("{")
            and all(f'"{name}"' in head for name in ("version", "status", "eval", "task"))
        )

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        samples = _log(path).get("samples")
        if not isinstance(samples, list):
            raise UserError(f"{path}: this log of inspect_ai has no samples")
        for number, value in enumerate(samples, start=1):
            yield _entry(value, f"sample {number}")

    def declares(self, path: Path) -> Mapping[str, str]:
        """See ``AnswersReader.declares``."""
        return _model(_log(path))


def _log(path: Path) -> dict[str, Any]:
    value = read_json(path, what="log of inspect_ai")
    if not isinstance(value, dict):
        raise UserError(f"{path}: is no log of inspect_ai")
    return value


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot read this log of inspect_ai: {error}") from None


def _model(header: Any) -> dict[str, str]:
    evaluated = header.get("eval") if isinstance(header, dict) else None
    model = evaluated.get("model") if isinstance(evaluated, dict) else None
    return {"model": model} if isinstance(model, str) and model else {}


def _entry(value: Any, where: str) -> AnswerText | BadEntry:
    try:
        id, output = value["id"], value["output"]
        choices = output["choices"]
        contents = [choice["message"]["content"] for choice in choices[:1]]
    except (KeyError, IndexError, TypeError):
        return BadEntry(where, "is no sample of inspect_ai: no id or no output")
    if not isinstance(id, str | int) or isinstance(id, bool):
        return BadEntry(where, "has an id that is neither a text nor a number")
    try:
        # A sample that failed has an error, and no choice or an empty one.
        text = None if value.get("error") else one_text([_joined(part) for part in contents])
    except ValueError as error:
        return BadEntry(where, str(error))
    return AnswerText(where, str(id), text)


def _joined(content: Any) -> Any:
    """The text of a message: a text, or parts of which those of the kind ``text`` hold it."""
    if not isinstance(content, list):
        return content
    parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(str(part.get("text", "")) for part in parts)
