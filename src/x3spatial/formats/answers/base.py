"""Answers that were made elsewhere, and the interface of their readers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from x3spatial.errors import UserError
from x3spatial.tasks.question import Size

ID_FIELDS = ("id", "sample_id", "question_id", "custom_id")
"""Fields that hold a sample's id."""
TEXT_FIELDS = (
    "text", "pred_text", "prediction", "predicted_answer", "response", "model_response", "output",
    "model_output", "generated_text", "completion", "answer",
)  # fmt: skip
"""Fields that hold an answer's text."""
MOST_BYTES = 1 << 28
"""Of one file inside of an archive, unpacked: 1 MB of an archive can hold a thousand of them."""
SIZES_FIELD = "pixel_sizes"
"""Field with [[width, height], ...] of the images, in the pixels that the answer counts."""
SECONDS_FIELD, PARTICIPANT_FIELD = "seconds", "participant"
"""Fields of answers that people gave: the time that an answer took, and who gave it."""


@dataclass(frozen=True, slots=True)
class AnswerFields:
    """Names of the fields of an answer; None: the one of ``ID_FIELDS`` or ``TEXT_FIELDS`` that is there."""

    id: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerText:
    """One answer: the raw text of a model."""

    where: str
    """Its place in the file, for messages: ``line 3``."""
    id: str
    text: str | None
    """None: there is no answer."""
    sizes: tuple[Size, ...] = ()
    """(W, H) of each image in the pixels that the answer counts; empty if the file has none."""
    position: int | None = None
    """The sample's place in the task file, from 0, in a file without ids; ``id`` is then empty."""
    target: str | None = None
    """The ground truth that the file gives for it; None without one."""
    participant: str | None = None
    """Who gave it, if a person did."""
    seconds: float | None = None
    """The time that it took."""


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry of the file that is no answer."""

    where: str
    reason: str


class Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object as (key, value) pairs (``object_pairs_hook``); a ``dict`` drops one of equal keys."""

    __slots__ = ()


class Ambiguous(str):
    """Stands for a JSON object in which a key occurs twice; its value is that key."""

    __slots__ = ()


def plain(value: Any) -> Any:
    """``value`` with dictionaries in place of ``Pairs``, and ``Ambiguous`` where a key occurs twice."""
    if isinstance(value, Pairs):
        seen: set[str] = set()
        for name, _ in value:
            if name in seen:
                return Ambiguous(name)
            seen.add(name)
        return {name: plain(part) for name, part in value}
    return [plain(part) for part in value] if isinstance(value, list) else value


class AnswersReader(ABC):
    """A format of answers. A subclass in a file of its own and its entry in ``registry`` add one."""

    describes: ClassVar[str]
    """The format in a few words, for messages."""

    @abstractmethod
    def recognizes(self, path: Path, head: str) -> bool:
        """Whether ``path``, whose text begins with ``head``, has this format."""

    @abstractmethod
    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """The answers of the file in its order; entries that cannot be read come as ``BadEntry``.

        Raises:
            UserError: the file as a whole cannot be read, or several of its fields may be the id or the text.
        """

    def declares(self, path: Path) -> Mapping[str, str]:
        """What the file says of all its answers: ``convention`` and ``model``, where it has them.

        Raises:
            UserError: the file cannot be read.
        """
        return {}


def answer_of(
    value: Any, where: str, fields: AnswerFields, path: Path, id: str | None = None
) -> AnswerText | BadEntry:
    """The answer in a JSON object.

    Args:
        value: the decoded entry.
        where: its place in the file.
        fields: names of its fields.
        path: the file, for messages.
        id: its id, if that stands outside of the object.

    Raises:
        UserError: two fields may be its id or its text, and they differ.
    """
    if isinstance(value, Ambiguous):
        return BadEntry(where, f"field {str(value)!r} occurs twice")
    if not isinstance(value, Mapping):
        return BadEntry(where, f"expected an object with an id and a text, found {_type(value)}")
    if id is None:
        name = _field(value, fields.id, ID_FIELDS, "--id-field", f"{path}: {where}")
        if name is None:
            return BadEntry(where, f"no field {_any(fields.id, ID_FIELDS)}")
        found = value[name]
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        if not isinstance(found, str) or not found:
            return BadEntry(where, f"field {name!r} is not a text")
        id = found
    name = _field(value, fields.text, TEXT_FIELDS, "--text-field", f"{path}: {where}")
    if name is None:
        return BadEntry(where, f"id {id!r} has no field {_any(fields.text, TEXT_FIELDS)}")
    text = value[name]
    if text is not None and not isinstance(text, str):
        return BadEntry(where, f"field {name!r} of id {id!r} is {_type(text)}, not a text")
    sizes = value.get(SIZES_FIELD)
    try:
        read = () if sizes is None else tuple((_side(w), _side(h)) for w, h in sizes)
    except (TypeError, ValueError):
        return BadEntry(where, f"field {SIZES_FIELD!r} of id {id!r} is not [[width, height], ...]")
    try:
        participant, seconds = _participant(value), _seconds(value)
    except ValueError as error:
        return BadEntry(where, f"{error} of id {id!r}")
    return AnswerText(where, id, text, read, participant=participant, seconds=seconds)


def _participant(value: Mapping[Any, Any]) -> str | None:
    name = value.get(PARTICIPANT_FIELD)
    if name is None or name == "":
        return None
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"field {PARTICIPANT_FIELD!r} is not a name")
    return name.strip()


def _seconds(value: Mapping[Any, Any]) -> float | None:
    given = value.get(SECONDS_FIELD)
    if given is None or given == "":
        return None
    try:
        seconds = float("nan") if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        seconds = float("nan")
    if not (math.isfinite(seconds) and seconds >= 0.0):
        raise ValueError(f"field {SECONDS_FIELD!r} is not a time")
    return seconds


def one_text(value: Any) -> str | None:
    """The only text in nested lists, as harnesses log responses; None if there is none.

    Raises:
        ValueError: there are several texts that differ, or something else than texts.
    """
    texts = list(dict.fromkeys(_texts(value)))
    if len(texts) > 1:
        raise ValueError(f"has {len(texts)} different responses; log one per sample")
    return texts[0] if texts else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif value is not None:
        raise ValueError(f"a response is {_type(value)}, not a text")


def _field(
    value: Mapping[Any, Any], chosen: str | None, known: tuple[str, ...], option: str, where: str
) -> str | None:
    if chosen is not None:
        return chosen if chosen in value else None
    found = [name for name in known if name in value]
    if len({repr(value[name]) for name in found}) > 1:
        raise UserError(
            f"{where}: has {' and '.join(map(repr, found))}, which differ; name the right one with {option}"
        )
    return found[0] if found else None


def _any(chosen: str | None, known: tuple[str, ...]) -> str:
    return repr(chosen) if chosen is not None else f"{', '.join(known[:-1])} or {known[-1]}"


def _side(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("not a number of pixels")
    return value


def _type(value: Any) -> str:
    names = {list: "a list", dict: "an object", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
