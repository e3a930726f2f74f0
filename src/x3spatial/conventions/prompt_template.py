"""Prompts from template files: the record's question with a paragraph on the format of the answer.

A template has sections headed ``[name]``. ``templates/common.txt`` says how a task asks for a point;
``templates/{family}.txt`` says how the family writes one (``form``, ``scale``) and may put its own words in
place of any common section. Fields are filled in by name; other braces are text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from x3spatial.tasks.question import Size

# Which section of the template asks, and how it calls the image whose frame the answer is in. Of a task that
# is not here the number of images decides, and its object may be out of sight.
_TASKS = {
    "t1_concat": ("side_by_side", "the whole image"),
    "t2b_multi": ("removed", "the second image"),
    "t0_marked": ("marked", "the image"),
}
_IMAGE_BY_COUNT = {1: "the image", 2: "the second image"}
_LAST_IMAGE = "the last image"


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """The sections of a family's template, common ones included."""

    sections: Mapping[str, str]

    def render(
        self,
        task: str,
        question: str,
        *,
        images: int,
        reference: str | None = None,
        size: Size | None = None,
    ) -> str:
        """Question, reference point if there is one, and format paragraph, in this order.

        Args:
            task: decides how the paragraph speaks of image and object.
            question: the task without any paragraph on the format.
            images: how many the question shows.
            reference: the given point, already written.
            size: (W, H) of the image that the points are written for, where a template states it.
        """
        section, image = _TASKS.get(task, ("seen_or_not", _IMAGE_BY_COUNT.get(images, _LAST_IMAGE)))
        # The parts first: a form speaks of the image, never the other way round.
        fields = {"form": self.sections["form"], "scale": self.sections["scale"]}
        fields |= {"absent": self.sections["absent"], "image": image, "index": str(images)}
        if size is not None:
            fields |= {"width": str(size[0]), "height": str(size[1])}
        parts = [question]
        if reference is not None:
            sentence = _filled(self.sections["reference"], fields)
            parts.append(sentence.replace("{point}", reference))
        parts.append(_filled(self.sections[section], fields))
        return "\n".join(parts)


@cache
def prompt_template(name: str) -> PromptTemplate:
    """The wording of the family ``name``, from the package's template files."""
    return parse_prompt_template(_template(name))


def parse_prompt_template(own: str) -> PromptTemplate:
    """The wording that a template's text, together with the common one, makes."""
    return PromptTemplate(sections_of(_template("common")) | sections_of(own))


def _template(name: str) -> str:
    folder = resources.files("x3spatial.conventions") / "templates"
    return (folder / f"{name}.txt").read_text(encoding="utf-8")


def sections_of(text: str) -> dict[str, str]:
    """The sections of a template by name, their lines joined by blanks."""
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
