"""Prompts from template files: the record's question with a paragraph on the answer format.

A template has sections headed ``[name]``. ``templates/common.txt`` holds the request for a point per task,
``common_box.txt`` that for a box; ``templates/{family}.txt`` describes the family's format (``form``,
``scale``) and may override any common section. Fields are filled in by name; other braces are ordinary text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from x3spatial.tasks.question import Question, Size
from x3spatial.tasks.spec import TASKS

_IMAGE_BY_COUNT = {1: "the image", 2: "the second image"}
_LAST_IMAGE = "the last image"
_DEFAULT_SECTION = "seen_or_not"


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """The sections of a family's template, common ones included."""

    sections: Mapping[str, str]

    def render(
        self,
        question: Question,
        *,
        reference: str | None = None,
        size: Size | None = None,
        picture: str | None = None,
    ) -> str:
        """The question, the reference point if there is one, and the format paragraph, in this order.

        The task's ``TaskSpec`` selects the section that asks for the answer and the phrase for the image that
        contains the answer. For an unknown task the phrase depends on the number of images, and the prompt
        allows for an object that is not visible.

        Args:
            question: the question; its field ``question`` contains no paragraph on the format.
            reference: the formatted reference point.
            size: (W, H) of the image of the answer, for templates that state it.
            picture: the name of the image of the answer, if the message names its images.
        """
        spec = TASKS.get(question.task)
        section = _DEFAULT_SECTION if spec is None else spec.format_section
        text = self.sections.get(section, None if spec is None else spec.format_text)
        if text is None:
            raise ValueError(f"task {question.task}: no template has a section [{section}]")
        images = len(question.images)
        image = _IMAGE_BY_COUNT.get(images, _LAST_IMAGE)
        if spec is not None and spec.answer_image is not None:
            image = spec.answer_image
        if picture is not None:
            image = f"{image} ({picture})"
        # Parts are filled in first: a form contains {image}, but not vice versa.
        fields = {"form": self.sections["form"], "scale": self.sections["scale"]}
        fields |= {"absent": self.sections["absent"], "image": image, "index": str(images)}
        if size is not None:
            fields |= {"width": str(size[0]), "height": str(size[1])}
        parts = [question.question]
        if reference is not None:
            sentence = _filled(self.sections["reference"], fields)
            parts.append(sentence.replace("{point}", reference))
        parts.append(_filled(text, fields))
        return "\n".join(parts)


@cache
def prompt_template(name: str, *, boxes: bool = False) -> PromptTemplate:
    """The template ``name`` of the package's files; ``boxes`` as for ``parse_prompt_template``."""
    return parse_prompt_template(_template(name), boxes=boxes)


@cache
def parse_prompt_template(own: str, *, boxes: bool = False) -> PromptTemplate:
    """Parse a family template and add the common sections that it lacks.

    ``boxes``: the common sections ask for a box around the object (``common_box.txt``), not for a point.
    """
    common = sections_of(_template("common"))
    if boxes:
        common |= sections_of(_template("common_box"))
    return PromptTemplate(common | sections_of(own))


def _template(name: str) -> str:
    folder = resources.files("x3spatial.conventions") / "templates"
    return (folder / f"{name}.txt").read_text(encoding="utf-8")


def sections_of(text: str) -> dict[str, str]:
    """The sections of a template by name; lines are joined by blanks."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]") and line[1:-1].isidentifier():
            lines = sections.setdefault(line[1:-1], [])
        elif line:
            lines.append(line)
    return {name: " ".join(lines) for name, lines in sections.items()}


def _filled(text: str, fields: Mapping[str, str]) -> str:
    for name, value in fields.items():
        text = text.replace(f"{{{name}}}", value)
    return text.strip()
