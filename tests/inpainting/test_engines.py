"""Filling of holes: what is outside stays, what is inside continues its surroundings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x3spatial.arrays import Bool, UInt8
from x3spatial.errors import UserError
from x3spatial.inpainting import ENGINE_HELP, ENGINES, check_engine, inpaint, open_engine

PLAIN = ("telea", "patchmatch")
"""Engines that need nothing but the image."""


def scene(seed: int, height: int = 40, width: int = 50) -> tuple[UInt8, Bool]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    hole = np.zeros((height, width), bool)
    top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
    hole[top : top + 8, left : left + 8] = True
    return image, hole


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(PLAIN))
def test_pixels_outside_of_the_hole_stay(seed: int, engine: str) -> None:
    image, hole = scene(seed)
    before = image.copy()
    filled = inpaint(image, hole, engine)
    assert filled.dtype == np.uint8 and filled.shape == image.shape
    assert np.array_equal(filled[~hole], image[~hole]) and np.array_equal(image, before)
    assert np.array_equal(filled, inpaint(image, hole, engine))


@pytest.mark.parametrize("engine", PLAIN)
def test_a_patch_on_a_plain_wall_vanishes(engine: str) -> None:
    wall = np.full((60, 80, 3), (90, 140, 200), np.uint8)
    hole = np.zeros((60, 80), bool)
    hole[20:40, 30:50] = True
    painted = wall.copy()
    painted[hole] = (255, 0, 0)
    filled = inpaint(painted, hole, engine)
    assert np.abs(filled.astype(int) - wall).max() <= 4
    # What was in the hole does not matter.
    assert np.array_equal(filled, inpaint(wall, hole, engine))


def test_patchmatch_continues_a_texture() -> None:
    """Stripes go on through the hole, where telea smears them."""
    stripes = np.zeros((64, 96, 3), np.uint8)
    stripes[:, (np.arange(96) // 4) % 2 == 0] = 255
    hole = np.zeros((64, 96), bool)
    hole[20:44, 32:64] = True
    errors = {
        engine: np.abs(inpaint(stripes, hole, engine).astype(int) - stripes)[hole].mean()
        for engine in PLAIN
    }
    assert errors["patchmatch"] < 40 < errors["telea"]


@pytest.mark.parametrize("engine", PLAIN)
def test_results_depend_neither_on_order_nor_on_threads(engine: str) -> None:
    cases = [scene(seed) for seed in range(6)]
    alone = [inpaint(case[0], case[1], engine) for case in cases]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda case: inpaint(case[0], case[1], engine), reversed(cases)))
    for one, other in zip(alone, reversed(together), strict=True):
        assert np.array_equal(one, other)


def test_limits() -> None:
    image, hole = scene(0)
    assert np.array_equal(inpaint(image, np.zeros_like(hole)), image)
    with pytest.raises(ValueError, match="nothing of the image"):
        inpaint(image, np.ones_like(hole))
    with pytest.raises(ValueError, match="hole of"):
        inpaint(image, hole[:-1])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("tela", "unknown engine 'tela'; did you mean telea?"),
        ("LaMa:x.onnx", "did you mean lama:WEIGHTS?"),
        (
            "diffusion",
            "known are telea, patchmatch, lama:WEIGHTS, command:PROGRAM, folder:DIR, none",
        ),
        ("telea:5", "telea takes no argument; write telea"),
        ("patchmatch:", "patchmatch takes no argument"),
        ("none:x", "takes no argument"),
        ("lama", "names nothing; write lama:WEIGHTS"),
        ("folder: ", "names nothing; write folder:DIR"),
        ("command:", "names nothing"),
    ],
)
def test_mistaken_names(spec: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        open_engine(spec)
    assert said in str(caught.value) and str(caught.value).startswith("--inpaint ")
    assert "\n" not in str(caught.value)


def test_none_makes_no_images() -> None:
    assert open_engine("none") is None
    with pytest.raises(UserError, match="makes no image"):
        inpaint(*scene(0), "none")


def test_check_engine() -> None:
    """Where holes are invented, images made elsewhere are of no use."""
    assert check_engine("command:x") == "command:x"
    for spec in ("none", "folder:x", "command:x"):
        with pytest.raises(UserError, match="--decoy-engine"):
            check_engine(spec, option="--decoy-engine", any_hole=True)
    assert check_engine("patchmatch", any_hole=True) == "patchmatch"


def test_help_names_every_engine() -> None:
    assert all(kind.form in ENGINE_HELP and kind.summary for kind in ENGINES.values())


def test_an_engine_is_opened_once_and_described() -> None:
    assert open_engine("telea") is open_engine("telea")
    engine = open_engine("patchmatch")
    assert engine is not None and engine.describe()["version"] and engine.spec == "patchmatch"
