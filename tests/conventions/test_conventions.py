"""Asking in each convention, and finding the one that a checkpoint needs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module, resources
from importlib.util import find_spec

import pytest

from helpers.convention_cases import SIZE, question, sizes_of
from x3spatial.conventions.base import Convention
from x3spatial.conventions.registry import (
    BY_MODEL_TYPE,
    CONVENTIONS,
    choose_convention,
    find_convention,
)
from x3spatial.errors import UserError

FAMILIES = [convention for name, convention in CONVENTIONS.items() if name != "unit"]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=[f.name for f in FAMILIES])

# What makes a prompt the family's own: the form that it asks for.
FORMS = {
    "fraction": "[(x, y)], where x and y are between 0 and 1",
    "percent": "[(x, y)], where x and y are in percent",
    "thousand": "[(x, y)] in whole numbers",
    "pixel": "is 640 pixels wide and 480 pixels high",
    "qwen2-1000": "<|box_start|>(x,y)<|box_end|>",
    "qwen2.5-px": 'JSON, [{"point_2d": [x, y]}], in pixels',
    "qwen3-1000": 'JSON, [{"point_2d": [x, y]}], in whole numbers',
    "internvl-1000": "[[x, y]]",
    "molmo-100": '<point x="..." y="..." alt="object">object</point>',
    "molmo2-1000": '<points coords="2 1 x y">object</points>',
    "gemini-yx-1000": '[{"point": [y, x]}], y before x',
    "molmo-point": "Point to",
    "minicpm-1000": "as <point>x y</point>",
    "ui-tars-1000": "click(start_box='(x,y)'), in whole numbers",
    "ui-tars-1.5-px": "click(point='<point>x y</point>'), in pixels",
    "qwen2.5-xml-px": '<points x1="..." y1="..." alt="object">object</points>, in pixels',
    "qwen3-xml-1000": '<points x1="..." y1="..." alt="object">object</points>, in whole numbers',
    "qwen2-pictures-1000": "<|box_start|>(x,y)<|box_end|>",
    "qwen2.5-pictures-px": 'JSON, [{"point_2d": [x, y]}], in pixels',
    "qwen3-pictures-1000": 'JSON, [{"point_2d": [x, y]}], in whole numbers',
    "qwen2-box-1000": "<|box_start|>(x1,y1),(x2,y2)<|box_end|>",
    "qwen2.5-box-px": 'JSON, [{"bbox_2d": [x1, y1, x2, y2]}], in pixels',
    "qwen3-box-1000": 'JSON, [{"bbox_2d": [x1, y1, x2, y2]}], in whole numbers',
    "internvl-box-1000": "<box>[[x1, y1, x2, y2]]</box>",
    "minicpm-box-1000": "<box>x1 y1 x2 y2</box>",
    "deepseek-vl2-box-999": "<|ref|>object<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|>",
    "gemini-box-yx-1000": '[{"box_2d": [ymin, xmin, ymax, xmax]}], y before x',
}
# Conventions whose form is part of that of others: variants of one family, and Molmo's plain words.
SHARED = {"molmo2-1000", "molmo-point"}
# The reference point (0.383, 0.250) of an image of 640x480.
REFERENCES = {
    "fraction": "(0.383, 0.250)",
    "percent": "(38.3, 25.0)",
    "thousand": "(383, 250)",
    "pixel": "(245, 120)",
    "qwen2-1000": "<|box_start|>(383,250)<|box_end|>",
    "qwen2.5-px": "[245, 120]",
    "qwen3-1000": "[383, 250]",
    "internvl-1000": "[[383, 250]]",
    "molmo-100": "x=38.3, y=25.0",
    "molmo2-1000": '<points coords="1 1 383 250">object</points>',
    "gemini-yx-1000": "[250, 383]",
    "molmo-point": "x=383.00, y=250.00",
    "minicpm-1000": "<point>383 250</point>",
    "ui-tars-1000": "(383,250)",
    "ui-tars-1.5-px": "<point>245 120</point>",
    "qwen2.5-xml-px": "[245, 120]",
    "qwen3-xml-1000": "[383, 250]",
    "qwen2-pictures-1000": "<|box_start|>(383,250)<|box_end|>",
    "qwen2.5-pictures-px": "[245, 120]",
    "qwen3-pictures-1000": "[383, 250]",
    "qwen2-box-1000": "<|box_start|>(383,250)<|box_end|>",
    "qwen2.5-box-px": "[245, 120]",
    "qwen3-box-1000": "[383, 250]",
    "internvl-box-1000": "[[383, 250]]",
    "minicpm-box-1000": "<point>383 250</point>",
    "deepseek-vl2-box-999": "[383, 250]",
    "gemini-box-yx-1000": "[250, 383]",
}


def _template_of(name: str) -> str:
    return str(getattr(CONVENTIONS[name], "template_name", "")) or name


def asked(convention: Convention, task: str, images: int, **fields: object) -> str:
    shown = question(task, images, **fields)
    return convention.prompt(shown, sizes_of(shown))


@each_family
@pytest.mark.parametrize(
    ("task", "images", "image", "may_be_absent"),
    [
        ("t1_multi", 2, "the second image", True),
        ("t2a_multi", 2, "the second image", True),
        ("t1_concat", 1, "the whole image", True),
        ("t2b_multi", 2, "the second image", False),
        ("t0_marked", 1, "the image", False),
        ("of_another_builder", 1, "the image", True),
        ("of_another_builder", 2, "the second image", True),
        ("of_another_builder", 3, "the last image", True),
    ],
)
def test_a_prompt_follows_its_task(
    family: Convention, task: str, images: int, image: str, may_be_absent: bool
) -> None:
    prompt = asked(family, task, images)
    assert prompt.startswith("Where is it?\n")
    assert FORMS[family.name].replace('"2 1', f'"{images} 1') in prompt
    assert image in prompt
    assert (family.absent in prompt) == may_be_absent
    assert ("right half" in prompt) == (task == "t1_concat")
    assert ("one box" in prompt) == (family.answers == "box")
    others = {"the image", "the second image", "the last image", "the whole image"} - {image}
    assert not any(other in prompt.replace(image, "") for other in others)
    for field in ("form", "image", "absent", "scale", "point", "index", "width", "height"):
        assert f"{{{field}}}" not in prompt


@each_family
def test_the_reference_point_is_in_the_family_s_own_numbers(family: Convention) -> None:
    given = asked(family, "t1_concat", 1, reference_point=(0.383, 0.25))
    assert f"The reference point is {REFERENCES[family.name]}, " in given
    assert "lies right of its middle" in given or family.name == "molmo-point"
    shown = question("t1_concat", 1, reference_point=(0.383, 0.25))
    prompt = family.prompt(shown, [SIZE], reference="HERE")
    assert prompt == given.replace(REFERENCES[family.name], "HERE")
    assert "reference point" not in asked(family, "t1_concat", 1)


@each_family
def test_no_family_is_asked_in_another_s_format(family: Convention) -> None:
    for task, images in (("t1_multi", 2), ("t1_concat", 1), ("t2b_multi", 2), ("t0_marked", 1)):
        prompt = asked(family, task, images, reference_point=(0.383, 0.25))
        for name, form in FORMS.items():
            variants = _template_of(name) == _template_of(family.name)
            if name not in SHARED and not variants:
                assert form not in prompt
        if family.name not in ("fraction", "percent", "thousand", "pixel"):
            assert "(x, y)" not in prompt
        assert ("NOT_VISIBLE" in prompt) <= (family.absent == "NOT_VISIBLE")


def test_unit_is_asked_with_the_record_s_own_prompt() -> None:
    shown = question("t1_concat", 1, reference_point=(0.383, 0.25))
    assert CONVENTIONS["unit"].prompt(shown) == shown.prompt


@each_family
def test_a_record_without_a_question_of_its_own_is_refused(family: Convention) -> None:
    shown = question(prompt="Where? Use [(x, y)].", question="Where? Use [(x, y)].")
    with pytest.raises(UserError, match=f"--convention {family.name}: record T has no.*unit"):
        family.prompt(shown, sizes_of(shown))


@each_family
def test_pixels_need_sizes_and_nothing_else_does(family: Convention) -> None:
    shown = question("t1_concat", 1, reference_point=(0.383, 0.25))
    if family.pixels is None:
        assert family.prompt(shown) == family.prompt(shown, [SIZE])
        assert family.parse("[(1, 2)]", shown) == family.parse("[(1, 2)]", shown, [SIZE])
        return
    for use in (lambda: family.prompt(shown), lambda: family.parse("[(1, 2)]", shown)):
        with pytest.raises(ValueError, match=f"{family.name} counts pixels"):
            use()


def test_every_convention_has_a_template_and_every_template_a_convention() -> None:
    folder = resources.files("x3spatial.conventions") / "templates"
    names = {entry.name.removesuffix(".txt") for entry in folder.iterdir()}
    used = {_template_of(name) for name in CONVENTIONS}
    assert names == (used - {"unit"}) | {"common", "common_box"}


@each_family
def test_images_are_named_by_the_conventions_that_say_so(family: Convention) -> None:
    named = "pictures" in family.name
    assert family.picture_names(3) == (("Picture 1", "Picture 2", "Picture 3") if named else ())
    assert family.picture_names(1) == ()
    assert ("the second image (Picture 2)" in asked(family, "t1_multi", 2)) == named
    assert "Picture" not in asked(family, "t1_concat", 1)
    if named:
        plain = asked(find_convention(_template_of(family.name)), "t1_multi", 2)
        assert asked(family, "t1_multi", 2).replace(" (Picture 2)", "") == plain


def test_a_checkpoint_s_type_decides_unless_the_user_does() -> None:
    assert choose_convention(None, "qwen2_5_vl", model="m").name == "qwen2.5-px"
    assert choose_convention("percent", "qwen2_5_vl", model="m").name == "percent"
    assert choose_convention("percent", None, model="m").name == "percent"
    for model_type in (None, "mllama", "Qwen3-VL"):
        with pytest.raises(
            UserError, match=r"--convention: .* how hf:m writes a point; name one of unit, fraction"
        ):
            choose_convention(None, model_type, model="hf:m")
    with pytest.raises(UserError, match="--convention inches: unknown; known are unit"):
        find_convention("inches")
    assert set(BY_MODEL_TYPE.values()) <= CONVENTIONS.keys()


@pytest.mark.slow  # transformers takes its time to import
def test_the_types_are_those_of_transformers() -> None:
    if find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    types = import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING_NAMES
    # These are not transformers' own: RoboRefer's two, and those that come with their checkpoints' code.
    assert BY_MODEL_TYPE.keys() - set(types) == {
        "roborefer", "llava_llama", "internvl_chat", "molmo", "molmo_point", "minicpmv", "minicpmo",
        "deepseek_vl_v2",
    }  # fmt: skip


def test_importing_the_conventions_is_cheap() -> None:
    code = (
        "import sys, x3spatial.conventions.registry;"
        "sys.exit(any(name in sys.modules for name in ('cv2', 'torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
