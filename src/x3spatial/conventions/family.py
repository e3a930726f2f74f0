"""The implementation of ``Convention``: families differ in data and in a function that finds the point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from x3spatial.conventions.base import Answers, Pixels
from x3spatial.conventions.prompt_template import parse_prompt_template, prompt_template
from x3spatial.errors import UserError
from x3spatial.tasks.answers import BOX, NOT_VISIBLE, POINT, Answer, always_false
from x3spatial.tasks.boxes import Box
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Question, Size
from x3spatial.tasks.spec import TASKS

Find = Callable[[str, int], tuple[float, float] | None]
"""Takes a text with normalised characters and the number of images; returns finite (x, y) in the family's
units, x first, or None without a point of the query image."""
FindBox = Callable[[str], tuple[float, float, float, float] | None]
"""The same for a box: finite (x1, y1, x2, y2), x first."""


def no_point(text: str, images: int) -> None:
    """The ``find`` of families that answer with boxes: a point is no answer."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The convention of a model family; see ``Convention``. Prompts come from ``templates/{name}.txt``."""

    name: str
    describes: str
    find: Find
    answer: str
    """Format of an answer, with ``{x}``, ``{y}`` and ``{index}``, the number of the query image from 1; for
    boxes with ``{x1}``, ``{y1}``, ``{x2}`` and ``{y2}``."""
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
    """Text of the prompt template; None: ``templates/{template_name}.txt`` of this package."""
    template_name: str = ""
    """Name of the template's file; empty: that of the convention. Variants of a family share one."""
    find_box: FindBox | None = None
    """For a family that is asked for boxes; ``find`` is then ``no_point``."""
    picture: str | None = None
    """What the family calls an image, with ``{number}`` from 1, if its images are named; see
    ``Convention.picture_names``."""

    @property
    def answers(self) -> Answers:
        """See ``Convention.answers``."""
        return "point" if self.find_box is None else "box"

    def picture_names(self, images: int) -> tuple[str, ...]:
        """See ``Convention.picture_names``."""
        if self.picture is None or images < 2:
            return ()
        return tuple(self.picture.replace("{number}", str(n + 1)) for n in range(images))

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
        own, boxes = self.template, self.find_box is not None
        template = (
            prompt_template(self.template_name or self.name, boxes=boxes)
            if own is None
            else parse_prompt_template(own, boxes=boxes)
        )
        names = self.picture_names(len(question.images))
        return template.render(
            question, reference=reference, size=size, picture=names[-1] if names else None
        )

    def parse(self, text: str, question: Question, sizes: Sequence[Size] = ()) -> Answer:
        """See ``Convention.parse``."""
        spec = TASKS.get(question.task)
        answer, token = (POINT, NOT_VISIBLE) if spec is None else (spec.answer, spec.absent_token)
        if answer is POINT and self.find_box is not None:
            answer = BOX
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
        if self.find_box is not None:
            raise TypeError(f"convention {self.name} answers with boxes, not with points")
        return self._filled(self.answer, point, question, sizes, decimals)

    def format_box(
        self,
        box: Box,
        question: Question,
        sizes: Sequence[Size] = (),
        decimals: int | None = None,
    ) -> tuple[str, Box]:
        """See ``Convention.format_box``."""
        if self.find_box is None:
            raise TypeError(f"convention {self.name} answers with points, not with boxes")
        form, read = self.answer, []
        for number, corner in ((1, Point(*box[:2])), (2, Point(*box[2:]))):
            form = form.replace(f"{{x{number}}}", "{x}").replace(f"{{y{number}}}", "{y}")
            form, point = self._filled(form, corner, question, sizes, decimals)
            read.append(point)
        return form, Box(*read[0], *read[1])

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

    def box(self, text: str) -> Box | None:
        find = self.family.find_box
        found = None if find is None else find(text)
        if found is None:
            return None
        x1, y1, x2, y2 = found
        return Box(*self.to_point(x1, y1), *self.to_point(x2, y2))

    def to_point(self, x: float, y: float) -> Point:
        return Point(x / self.edges[0], y / self.edges[1])

    def says_absent(self, text: str) -> bool:
        return self.family.says_absent(text)

    def says_nothing(self, text: str) -> bool:
        return self.family.says_nothing(text)
