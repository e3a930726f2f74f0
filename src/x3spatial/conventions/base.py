"""The protocol of conventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from x3spatial.tasks.answers import Answer
from x3spatial.tasks.boxes import Box
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Question, Size

Pixels = Literal["sent", "resized"]
"""``sent``: pixels of the image that is passed to the model, whose size the prompt states; ``resized``:
pixels of the image after resizing by the model's processor."""

IMAGES_FIRST = "images in the record's order, then the text"
"""How a message is made where images have no names, as results describe it."""
Answers = Literal["point", "box"]
"""What a family is asked for where a task asks for a point: the point, or a box around the object."""


class Convention(Protocol):
    """Prompts, answer parsing and answer formatting of a model family.

    ``sizes`` are (W, H) of the question's images, one per image, in the pixels that ``pixels`` names. Points
    are normalised in the last image of the question (for t1_concat: the whole side-by-side image).
    """

    @property
    def name(self) -> str:
        """The name in ``--convention`` and in results."""

    @property
    def describes(self) -> str:
        """Format, order, scale and model families, in one line."""

    @property
    def pixels(self) -> Pixels | None:
        """The unit of its numbers; None: they are relative to the image, and ``sizes`` is empty."""

    @property
    def decimals(self) -> int:
        """The number of decimals."""

    @property
    def answers(self) -> Answers:
        """Whether the family answers with points or with boxes; the two are never mixed in one run."""

    def picture_names(self, images: int) -> tuple[str, ...]:
        """The names of a question's images, such as ``Picture 1``, which stand before them in the message.

        Empty if the images of the family have no names, or if there is only one.
        """

    @property
    def absent(self) -> str:
        """The family's answer if the object is not visible."""

    def prompt(
        self, question: Question, sizes: Sequence[Size] = (), *, reference: str | None = None
    ) -> str:
        """The prompt text after the images: question, reference point, answer format.

        ``reference`` is a reference point formatted with ``format_inline``; None: the question's reference
        point with the default number of decimals.

        Raises:
            ValueError: ``sizes`` are required but empty.
            UserError: the record has no question apart from the one in RoboRefer's format.
        """

    def parse(self, text: str, question: Question, sizes: Sequence[Size] = ()) -> Answer:
        """Parse an answer text.

        Raises:
            ValueError: ``sizes`` are required but empty.
        """

    def format_answer(
        self,
        point: Point,
        question: Question,
        sizes: Sequence[Size] = (),
        decimals: int | None = None,
    ) -> tuple[str, Point]:
        """Format ``point`` as an answer; also returns the point that ``parse`` reads from it.

        ``decimals`` None: the convention's default.

        Raises:
            TypeError: the family answers with boxes.
            ValueError: ``sizes`` are required but empty.
        """

    def format_box(
        self,
        box: Box,
        question: Question,
        sizes: Sequence[Size] = (),
        decimals: int | None = None,
    ) -> tuple[str, Box]:
        """Format ``box`` as an answer; also returns the box that ``parse`` reads from it.

        ``decimals`` None: the convention's default.

        Raises:
            TypeError: the family answers with points.
            ValueError: ``sizes`` are required but empty.
        """

    def format_inline(
        self,
        point: Point,
        question: Question,
        sizes: Sequence[Size] = (),
        decimals: int | None = None,
    ) -> tuple[str, Point]:
        """Format ``point`` for use within a sentence of a prompt; otherwise as ``format_answer``.

        Raises:
            ValueError: ``sizes`` are required but empty.
        """


def named_parts(names: Sequence[str]) -> tuple[str, ...]:
    """The text before each image of a message; empty for images without names.

    ``Picture 1: `` with a blank and no line break, as the chat templates of Qwen-VL have it.
    """
    return tuple(f"{name}: " for name in names)


def message_parts(
    images: Sequence[dict[str, Any]], text: str, names: Sequence[str]
) -> list[dict[str, Any]]:
    """The parts of a message: the images, each after its name if they have names, then the text."""
    named = [{"type": "text", "text": part} for part in named_parts(names)]
    pairs = zip(named, images, strict=True) if named else zip(images)
    return [*(part for pair in pairs for part in pair), {"type": "text", "text": text}]


def message_form(convention: Convention) -> str:
    """How a message is made from a question, for the description of a model in results."""
    names = convention.picture_names(2)
    return f"each image after its name ({names[0]}: ), then the text" if names else IMAGES_FIRST
