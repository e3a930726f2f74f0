"""What a convention is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from x3spatial.tasks.answers import Answer
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Question, Size

Pixels = Literal["sent", "resized"]
"""``sent``: of the image as it is given to the model, which the prompt states; ``resized``: of the image as
the model's own processor resizes it."""


class Convention(Protocol):
    """How to ask a family, how to read its answer, and how it would write one.

    ``sizes`` are (W, H) of the question's images in the pixels that the family counts, one per image;
    what they are is said by ``pixels``. Points are normalised in the last image of the question (for
    t1_concat: the whole wide image).
    """

    @property
    def name(self) -> str:
        """What ``--convention`` and results call it."""

    @property
    def describes(self) -> str:
        """The form, the order, the scale and the families, in one line."""

    @property
    def pixels(self) -> Pixels | None:
        """Which pixels its numbers count; None: it counts none and takes empty ``sizes``."""

    @property
    def decimals(self) -> int:
        """How many decimals its numbers have."""

    @property
    def absent(self) -> str:
        """The answer of a family to which the object is not visible."""

    def prompt(
        self, question: Question, sizes: Sequence[Size] = (), *, reference: str | None = None
    ) -> str:
        """The text that stands after the images: question, reference point, format of the answer.

        ``reference`` is the reference point already written (``format_inline``); without it the question's
        own is written with the usual decimals.

        Raises:
            ValueError: ``sizes`` are needed and not there.
            UserError: the record has no question without RoboRefer's format in it.
        """

    def parse(self, text: str, question: Question, sizes: Sequence[Size] = ()) -> Answer:
        """What an answer says.

        Raises:
            ValueError: where ``sizes`` are needed and not there.
        """

    def format_answer(
        self,
        point: Point,
        question: Question,
        sizes: Sequence[Size] = (),
        decimals: int | None = None,
    ) -> tuple[str, Point]:
        """An answer that points there, and the point that ``parse`` reads from it.

        ``decimals`` None: the usual ones. Raises: ValueError where ``sizes`` are needed and not there.
        """

    def format_inline(
        self,
        point: Point,
        question: Question,
        sizes: Sequence[Size] = (),
        decimals: int | None = None,
    ) -> tuple[str, Point]:
        """The same for a point in the middle of a prompt's sentence."""
