"""The implementation of ``Convention``: families differ in data and in a function that finds the point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from x3spatial.conventions.base import Pixels
from x3spatial.conventions.prompt_template import parse_prompt_template, prompt_template
from x3spatial.errors import UserError
from x3spatial.tasks.answers import NOT_VISIBLE, POINT, Answer, always_false
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Question, Size
from x3spatial.tasks.spec import TASKS

Find = Callable[[str, int], tuple[float, float] | None]
"""Takes a text with normalised characters and the number of images; returns finite (x, y) in the family's
units, x first, or None without a point of the query image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The convention of a model family; see ``Convention``. Prompts come from ``templates/{name}.txt``."""

    name: str
    describes: str
    find: Find
    answer: str
    """Format of an answer, with ``{x}``, ``{y}`` and ``{index}``, the number of the query image from 1."""
    inline: str
    """Format of a point within a sentence."""
    scale: float | None = None
    """The coordinate of the right and bottom edges of the image; None if the unit is pixels."""
    pixels: Pixels | None = None
    decimals: int = 0
    digits: int = 1
    """Minimum number of digits before the decimal point."""
    names_pixels: bool = False
    """Whether an integer is a pixel index rather than a distance from the edge."""
    absent: str = NOT_VISIBLE
    says_absent: Callable[[str], bool] = always_false
    """Whether a text contains the family's phrase for "not visible"."""
    says_nothing: Callable[[str], bool] = always_false
    """The same for a form that only counts if there is no point."""
    template: str | None = None
    """Text of the prompt template; None: ``templates/{name}.txt`` of this package."""

    def prompt(
        self, question: Question, sizes: Sequence[Size] = (), *, reference: str | None = None
    ) -> str:
        """See ``Convention.prompt``."""
        spec = TASKS.get(question.task)
        if spec is not None and not spec.answer.in_family_format:
            return question.prompt
        if question.question == question.prompt:
            raise UserError(
                f"--convention {self.name}: record {question.id} has no field 'question' (not made by x3"
                " build), so it can only be asked as it stands; use --convention unit"
            )
        if reference is None and question.reference_point is not None:
            reference = self.format_inline(Point(*question.reference_point), question, sizes)[0]
        size = None
        if self.pixels == "sent":
            size = self._size(sizes)
        own = self.template
        template = prompt_template(self.name) if own is None else parse_prompt_template(own)
        return template.render(question, reference=reference, size=size)

    def parse(self, text: str, question: Question, sizes: Sequence[Size] = ()) -> Answer:
        """See ``Convention.parse``."""
        spec = TASKS.get(question.task)
        answer, token = (POINT, NOT_VISIBLE) if spec is None else (spec.answer, spec.absent_token)
        reader = _FamilyReader(self, len(question.images), self._edges(sizes))
        return answer.read(text, reader, token)

    def format_answer(
        self,
        point: Point,
        question: Question,
        sizes: Sequence[Size] = (),
        decimals: int | None = None,
    ) -> tuple[str, Point]:
        """See ``Convention.format_answer``."""
        return self._filled(self.answer, point, question, sizes, decimals)

    def format_inline(
        self,
        point: Point,
        question: Question,
        sizes: Sequence[Size] = (),
        decimals: int | None = None,
    ) -> tuple[str, Point]:
        """See ``Convention.format_inline``."""
        return self._filled(self.inline, point, question, sizes, decimals)

    def _filled(
        self,
        form: str,
        point: Point,
        question: Question,
        sizes: Sequence[Size],
        decimals: int | None,
    ) -> tuple[str, Point]:
        edges = self._edges(sizes)
        decimals = self.decimals if decimals is None else decimals
        down = self.names_pixels and decimals == 0
        width = self.digits + (decimals + 1 if decimals else 0)
        x, y = (
            f"{math.floor(value * edge) if down else value * edge:0{width}.{decimals}f}"
            for value, edge in zip(point, edges, strict=True)
        )
        text = form.replace("{index}", str(len(question.images)))
        text = text.replace("{x}", x).replace("{y}", y)
        return text, Point(float(x) / edges[0], float(y) / edges[1])

    def _edges(self, sizes: Sequence[Size]) -> tuple[float, float]:
        return self._size(sizes) if self.scale is None else (self.scale, self.scale)

    def _size(self, sizes: Sequence[Size]) -> Size:
        if not sizes:
            raise ValueError(f"convention {self.name} counts pixels: it needs the images' sizes")
        return sizes[-1]


@dataclass(frozen=True, slots=True)
class _FamilyReader:
    """``answers.Reader`` of a family for one question."""

    family: Family
    images: int
    edges: tuple[float, float]
    """The coordinates of the right and bottom edges of the query image."""

    def point(self, text: str) -> Point | None:
        found = self.family.find(text, self.images)
        return None if found is None else self.to_point(*found)

    def to_point(self, x: float, y: float) -> Point:
        return Point(x / self.edges[0], y / self.edges[1])

    def says_absent(self, text: str) -> bool:
        return self.family.says_absent(text)

    def says_nothing(self, text: str) -> bool:
        return self.family.says_nothing(text)
