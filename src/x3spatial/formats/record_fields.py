"""Reading of single fields of a task record; every error names the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

PATHS = frozenset({"image", "depth", "query_original", "ref_original", "ref_mask", "query_mask"})
"""Fields that name files."""
SOURCE = (
    "split", "scene", "uid", "label", "ref_rank", "ref_frame", "query_rank", "query_frame",
    "query_mask_kind",
)  # fmt: skip
"""Text fields that say where a sample comes from."""
KNOWN = ("place", "twin", "absence", "verified")
"""Text fields that only some records have."""
_LONGEST = 80
_SURE = 1 << 53
"""Whole numbers below it are finite as floats."""


def shown(value: Any) -> str:
    """A value for a message: its representation, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def checked_text(text: str, name: str) -> str:
    """``text`` if it can be written as UTF-8 and, in a field that names a file, be the name of one.

    Raises:
        ValueError: it holds half of a surrogate pair, or NUL in a path.
    """
    if not text.isascii():  # quick: most texts are
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"field {name!r} is not valid Unicode: {shown(text)}") from None
    if "\0" in text and name in PATHS:
        raise ValueError(f"field {name!r} holds a NUL character, which no path can: {shown(text)}")
    return text


def required_text(value: Mapping[str, Any], name: str) -> str:
    """A text that is not empty.

    Raises:
        ValueError: it is missing, empty, or of another type.
    """
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise ValueError(f"field {name!r} must be a non-empty string")
    return checked_text(text, name)


def optional_text(value: Mapping[str, Any], name: str) -> str | None:
    """A text, or None without one.

    Raises:
        ValueError: it is of another type.
    """
    text = value.get(name)
    if text is None:
        return None
    if type(text) is str and text.isascii() and "\0" not in text:  # quick: most texts are
        return text
    if not isinstance(text, str):
        raise ValueError(f"field {name!r} must be a string, not {shown(text)}")
    return checked_text(text, name)


def images(value: Mapping[str, Any]) -> tuple[str, ...] | str:
    """The field ``image``: a path, or a list of paths as a tuple.

    Raises:
        ValueError: it is something else.
    """
    image: Any = value.get("image")
    paths: list[Any] = image if isinstance(image, list) else [image]
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise ValueError("field 'image' must be a path or a non-empty list of paths")
    for path in paths:
        checked_text(path, "image")
    return tuple(paths) if isinstance(image, list) else str(image)


def point(value: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """A point of two finite numbers, or None without one.

    Raises:
        ValueError: it is something else.
    """
    found = value.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or len(found) != 2 or not all(map(_is_number, found)):
        raise ValueError(f"field {name!r} must be two numbers, not {shown(found)}")
    return float(found[0]), float(found[1])


def sizes(value: Mapping[str, Any], name: str) -> tuple[tuple[int, int], ...]:
    """Sizes of images, [width, height] each; empty without the field.

    Raises:
        ValueError: they are not pairs of positive whole numbers.
    """
    found = value.get(name)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(map(_is_size, found)):
        raise ValueError(f"field {name!r} must be a list of [width, height], not {shown(found)}")
    return tuple((int(width), int(height)) for width, height in found)


def fraction(value: Mapping[str, Any], name: str) -> float | None:
    """A number from 0 to 1, or None without one.

    Raises:
        ValueError: it is something else.
    """
    found = value.get(name)
    if found is None:
        return None
    if not _is_number(found) or not 0 <= found <= 1:
        raise ValueError(f"field {name!r} must be a number from 0 to 1, not {shown(found)}")
    return found  # type: ignore[no-any-return]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _is_size(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    first, second = value
    if type(first) is int and type(second) is int and 1 <= first < _SURE and 1 <= second < _SURE:
        return True  # quick: as every build writes them
    if not all(map(_is_number, value)):
        return False
    return all(number >= 1 and number == int(number) for number in value)
