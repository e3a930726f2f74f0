"""Other ways in which Qwen's models are asked: points as XML, and images with names.

Qwen's cookbook on spatial understanding (``QwenLM/Qwen3-VL:cookbooks/spatial_understanding.ipynb``) asks for
points as JSON or as XML, ``<points x1="..." y1="..." alt="...">...</points>``, on the scale of the model. The
JSON conventions read both; the XML conventions ask for the latter.

The chat templates of Qwen-VL put ``Picture 1: `` before each image if they are rendered with
``add_vision_id``, which is off unless it is asked for. The conventions with pictures write the same into the
message, so that servers and local models see the same prompt.
"""

from __future__ import annotations

from dataclasses import replace

from x3spatial.conventions.brackets import QWEN2
from x3spatial.conventions.family import Family, Find
from x3spatial.conventions.json_points import QWEN3, QWEN25
from x3spatial.conventions.markup import find_molmo

_PICTURE = "Picture {number}"
_XML = '<points x1="{x}" y1="{y}" alt="object">object</points>'


def _xml_first(other: Find) -> Find:
    """A finder of the first ``<points`` or ``<point`` tag, else what ``other`` finds."""

    def find(text: str, images: int) -> tuple[float, float] | None:
        tagged = find_molmo(text, images)
        return other(text, images) if tagged is None else tagged

    return find


def _named(family: Family, name: str, form: str) -> Family:
    return replace(
        family,
        name=name,
        describes=f"as {family.name}, with Picture 1: ... before each of several images {form}",
        picture=_PICTURE,
        template_name=family.name,
    )


QWEN25_XML = replace(
    QWEN25,
    name="qwen2.5-xml-px",
    describes='<points x1="320" y1="120" ...>, pixels of the resized image (Qwen2.5-VL)',
    find=_xml_first(QWEN25.find),
    answer=_XML,
)
QWEN3_XML = replace(
    QWEN3,
    name="qwen3-xml-1000",
    describes='<points x1="500" y1="250" ...>, 0 to 1000 of the image (Qwen3-VL)',
    find=_xml_first(QWEN3.find),
    answer=_XML,
)
QWEN2_PICTURES = _named(QWEN2, "qwen2-pictures-1000", "(Qwen2-VL)")
QWEN25_PICTURES = _named(QWEN25, "qwen2.5-pictures-px", "(Qwen2.5-VL)")
QWEN3_PICTURES = _named(QWEN3, "qwen3-pictures-1000", "(Qwen3-VL)")
