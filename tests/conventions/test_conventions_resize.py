"""The sizes that Qwen-VL processors resize images to."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from x3spatial.conventions.resize import smart_resize
from x3spatial.tasks.question import Size

QWEN25 = {"factor": 28, "min_pixels": 56 * 56, "max_pixels": 12845056}
QWEN3 = {"factor": 32, "min_pixels": 256 * 256, "max_pixels": 4096 * 4096}


@pytest.mark.parametrize(
    ("rule", "size", "expected"),
    [
        # By hand: the nearest multiples, halves to even; then the limits.
        (QWEN25, (640, 480), (644, 476)),
        (QWEN25, (480, 640), (476, 644)),
        (QWEN25, (1280, 720), (1288, 728)),
        (QWEN25, (14, 14), (56, 56)),  # 0.5 rounds to 0: too small, so 14 * 4 = 56
        (QWEN25, (42, 70), (56, 56)),  # 1.5 and 2.5 both round to 2
        (QWEN25, (28, 28), (56, 56)),
        (QWEN25, (56, 56), (56, 56)),  # exactly at the lower limit
        (QWEN25, (3584, 3584), (3584, 3584)),  # exactly at the upper one
        (QWEN25, (3612, 3584), (3584, 3556)),  # one multiple above: 3597.97 and 3570.08, down
        (QWEN25, (8000, 6000), (4116, 3080)),
        (QWEN25, (28000, 140), (28000, 140)),  # very wide, within the limits
        (QWEN25, (13, 2600), (28, 812)),  # 13/28 rounds to 0; grown by 0.3046
        (QWEN25 | {"max_pixels": 1280 * 28 * 28}, (1920, 1080), (1316, 728)),
        (QWEN3, (640, 480), (640, 480)),
        (QWEN3, (1920, 1080), (1920, 1088)),
        (QWEN3, (100, 100), (256, 256)),
        (QWEN3, (8192, 4096), (5792, 2880)),
    ],
)
def test_sizes(rule: dict[str, int], size: Size, expected: Size) -> None:
    assert smart_resize(size, **rule) == expected


sides = st.integers(1, 6000)


@given(sides, sides, st.sampled_from([28, 32]), st.integers(16, 16384))
def test_multiples_within_the_limits(width: int, height: int, factor: int, most: int) -> None:
    assume(max(width, height) / min(width, height) <= 200)
    most *= factor * factor
    columns, rows = smart_resize(
        (width, height), factor=factor, min_pixels=4 * factor * factor, max_pixels=most
    )
    assert columns % factor == rows % factor == 0 < columns * rows
    # A side that would vanish is kept at one multiple, so only very long images exceed the limit.
    assert columns * rows <= most or factor in (columns, rows)


@pytest.mark.slow  # transformers takes its time to import
@settings(max_examples=1000, deadline=None)
@given(sides, sides, st.sampled_from([28, 32]), st.integers(1, 4000), st.integers(4000, 3 * 10**7))
def test_the_real_processor_s_own_rule(
    width: int, height: int, factor: int, least: int, most: int
) -> None:
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    assume(max(width, height) / min(width, height) <= 200)
    rows, columns = module.smart_resize(height, width, factor, least, most)
    ours = smart_resize((width, height), factor=factor, min_pixels=least, max_pixels=most)
    assert ours == (columns, rows)
