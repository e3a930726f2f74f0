"""What a convention is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from x3spatial.models.base import Question, Size
from x3spatial.tasks.answers import Answer

Pixels = Literal["sent", "resized"]
"""``sent``: of the image as it is given to the model, which the prompt states; ``resized``: of the image as
the model's own processor resizes it."""


class Convention(Protocol):
    """How to ask a family and how to read its answer.

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

    def prompt(self, question: Question, sizes: Sequence[Size] = ()) -> str:
        """The text that stands after the images: question, reference point, format of the answer."""

    def parse(self, text: str, question: Question, sizes: Sequence[Size] = ()) -> Answer:
        """What an answer says. Raises: ValueError where ``sizes`` are needed and not there."""
