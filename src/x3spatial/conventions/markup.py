"""Points as markup: Molmo and Molmo 2. Other numbers in their answers are ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator

from x3spatial.conventions.family import Family
from x3spatial.tasks.parsing import NUMBER, finite_point

# A tag ends where the next one begins, and a name must not follow another name character, so that
# unterminated tags cause no backtracking. A value without a closing quote, or an unquoted one at the end of
# the text, was truncated by the token limit, so its last number may be incomplete.
_TAG = re.compile(r"<(points?+)(?=\s)([^<>]*+)(?=([<>]?))", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""(?<![A-Za-z0-9_])([A-Za-z_]++[0-9]*+)\s*+=\s*+"""
    r"""(?:(?:"([^"]*+)|'([^']*+))(["']?+)|([^\s"'=/]++)(?=([\s/])|\Z))"""
)
_NUMBER = re.compile(NUMBER)
_INDEX = re.compile(r"[0-9]{1,9}")
_IMAGES = re.compile(r"[\t\n;:,]")
_NONE = re.compile(r"""\bthere are none[\s"'*]*+(?:[.!]|\Z)""", re.IGNORECASE)


def says_none(text: str) -> bool:
    """Whether ``text`` contains the sentence "There are none."; case is ignored."""
    return _NONE.search(text) is not None


_ONLY_NONE = re.compile(r"""[\s"'*`]*+there are none[\s"'*`]*+[.!]?+[\s"'*`]*+""", re.IGNORECASE)


def is_none(text: str) -> bool:
    """Whether ``text`` is the sentence "There are none." and nothing else."""
    return _ONLY_NONE.fullmatch(text) is not None


def _tags(text: str, name: str = "") -> Iterator[dict[str, tuple[str, bool]]]:
    """The attributes of each ``<point`` and ``<points`` tag: name → value and whether it is complete.

    ``name`` limits them to tags of one name.
    """
    for tag in _TAG.finditer(text):
        if name and tag[1].lower() != name:
            continue
        attributes: dict[str, tuple[str, bool]] = {}
        for key, double, single, quote, bare, blank in _ATTRIBUTE.findall(tag[2]):
            complete = bool(quote or blank or (bare and tag[3]))
            attributes.setdefault(key.lower(), (double or single or bare, complete))
        yield attributes


def find_molmo(text: str, images: int) -> tuple[float, float] | None:
    """The first ``x`` and ``y``, or ``x1`` and ``y1``, of a tag. Tags of several points are sorted by x."""
    return _first_point(_tags(text))


def find_points_tag(text: str) -> tuple[float, float] | None:
    """The same of ``<points`` tags only: the second form that Qwen-VL's makers publish."""
    return _first_point(_tags(text, "points"))


def _first_point(tags: Iterator[dict[str, tuple[str, bool]]]) -> tuple[float, float] | None:
    for attributes in tags:
        for name in attributes:
            if not name.startswith("x"):
                continue
            pair = attributes[name], attributes.get("y" + name[1:], ("", False))
            if all(complete and _NUMBER.fullmatch(value.strip()) for value, complete in pair):
                return finite_point(value for value, _ in pair)
    return None


def find_molmo2(text: str, images: int) -> tuple[float, float] | None:
    """The first point of image number ``images``, the question's last, in a ``coords`` attribute.

    Images are separated by a tab (html-v1) or a semicolon (html-v2); each has its number, then object, x, y
    of its points. Points of other images are skipped.
    """
    for attributes in _tags(text):
        value, complete = attributes.get("coords", ("", True))
        groups = _IMAGES.split(value)
        for number, group in enumerate(groups, start=1):
            numbers = group.split()
            if number == len(groups) and not complete:
                if not group[-1:].isspace():
                    del numbers[-1:]
            elif len(numbers) % 3 != 1:
                continue
            if len(numbers) < 4 or not all(map(_NUMBER.fullmatch, numbers)):
                continue
            if _INDEX.fullmatch(numbers[0]) and int(numbers[0]) == images:
                return finite_point(numbers[2:4])
    return None


MOLMO = Family(
    name="molmo-100",
    describes='<point x="61.5" y="40.2" ...>, percent of the image (Molmo)',
    find=find_molmo,
    answer='<point x="{x}" y="{y}" alt="object">object</point>',
    inline="x={x}, y={y}",
    scale=100.0,
    decimals=1,
    absent="There are none.",
    says_absent=says_none,
)
MOLMO2 = Family(
    name="molmo2-1000",
    describes='<points coords="2 1 615 402">: image, object, x, y, 0 to 1000 of the image (Molmo 2)',
    find=find_molmo2,
    answer='<points coords="{index} 1 {x} {y}">object</points>',
    inline='<points coords="{index} 1 {x} {y}">object</points>',
    scale=1000.0,
    digits=3,
    absent="There are none.",
    says_absent=says_none,
)
