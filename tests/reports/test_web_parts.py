"""Parts of web reports: escaping, paths, outlines, spools."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.web_report import names, parse, unpacked
from x3spatial.arrays import Float64
from x3spatial.reports.web.encoding import Names, packed, script
from x3spatial.reports.web.outlines import in_frame, outline
from x3spatial.reports.web.privacy import Shortener
from x3spatial.reports.web.spool import Spool
from x3spatial.tasks.frames import Frame

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=50)
@example("<script>&</script>\u2028\u2029\ud800")
@given(_json)
def test_any_value_survives_and_cannot_end_a_script(value: object) -> None:
    text = script("a<b", value).decode()
    assert parse(text) == ("a<b", value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert text.count("\n") == 1


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        script("x", float("nan"))


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=1)))
def test_packed_numbers(values: Float64) -> None:
    found = unpacked(packed("f32", values))
    assert np.isnan(found).tolist() == np.isnan(values).tolist()
    known = ~np.isnan(values)
    assert (np.abs(found[known]) <= np.float32(1e30)).all()
    small = known & (np.abs(values) < 1e30)
    assert np.array_equal(found[small], values[small].astype(np.float32))


def test_names_keep_none_apart_from_empty() -> None:
    column = Names()
    for name in ("b", None, "", "b", "a"):
        column.add(name)
    assert names(column.packed()) == ["b", None, "", "b", "a"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read /data/al ice/res/a b/x.png: missing", "cannot read res/a b/x.png: missing"),
        ("see /home/alice/secret/x.json", "see secret/x.json"),
        ("/home/alice/x.json", "x.json"),
        ("hf:/models/big/w4", "hf:w4"),
        (r"C:\Users\me\runs\r.json is gone", "runs/r.json is gone"),
        ("file:///home/alice/p.png", "p.png"),
        ("http://localhost:8000/v1/chat", "http://localhost:8000/v1/chat"),
        ("a/b/c and 1/2 and [(0.1, 0.2)]", "a/b/c and 1/2 and [(0.1, 0.2)]"),
        ("", ""),
    ],
)
def test_texts_without_paths_of_the_machine(text: str, shown: str) -> None:
    assert Shortener([Path("/data/al ice/res")]).text(text) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/d/e/validation/s/uid_1/01_a_mask.png", "validation/s/uid_1/01_a_mask.png"),
        ("/data/al ice/res/x/y.json", "res/x/y.json"),
        ("/data/al ice/result.json", "result.json"),
        (r"C:\Users\me\x.json", "x.json"),
        ("results/x.json", "results/x.json"),
        ("/home/bob", "bob"),
    ],
)
def test_paths(path: str, shown: str) -> None:
    assert Shortener([Path("/data/al ice/res")]).path(path) == shown


def test_the_home_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "alice"))
    monkeypatch.chdir(tmp_path)
    shortener = Shortener([])
    assert shortener.path(str(tmp_path / "alice/x.json")) == "~/x.json"
    assert shortener.text(f"in {tmp_path}/alice/x and {tmp_path}/y.") == "in ~/x and ./y."
    nested = shortener.value({str(tmp_path): [f"{tmp_path}/z", 3, None]})
    assert nested == {".": ["./z", 3, None]}


def _filled(
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The polygons of ``mask`` drawn again, at four times its size."""
    height, width = mask.shape
    canvas = np.zeros((height * 4, width * 4), np.uint8)
    polygons = [
        np.column_stack((np.array(p[::2]) * width * 4, np.array(p[1::2]) * height * 4))
        for p in outline(mask)
    ]
    cv2.fillPoly(canvas, [np.round(p).astype(np.int32) for p in polygons], 1)
    return np.asarray(canvas > 0)


@given(
    st.integers(8, 60), st.integers(8, 60), st.integers(0, 2**32 - 1), st.sampled_from((1, 3, 6))
)
def test_an_outline_is_at_most_a_pixel_off(width: int, height: int, seed: int, blur: int) -> None:
    noise = np.random.default_rng(seed).uniform(0, 1, (height, width)).astype(np.float32)
    mask = cv2.GaussianBlur(noise, (0, 0), blur) > 0.5
    drawn = _filled(mask)
    large = np.repeat(np.repeat(mask.astype(np.uint8), 4, 0), 4, 1)
    kernel = np.ones((11, 11), np.uint8)  # one pixel of the mask, and rounding, to each side
    inner = cv2.erode(large, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    outer = cv2.dilate(large, kernel)
    assert not ((inner > 0) & ~drawn).any()
    assert not (drawn & (outer == 0)).any()


def test_single_pixels_and_holes_have_outlines() -> None:
    mask = np.zeros((10, 20), bool)
    assert outline(mask) == []
    mask[3, 5] = True
    (pixel,) = outline(mask)
    assert np.ptp(pixel[::2]) * 20 == pytest.approx(0.5, abs=0.01)
    ring = np.ones((9, 9), bool)
    ring[3:6, 3:6] = False
    assert len(outline(ring)) == 2


def test_an_outline_in_a_side_by_side_image() -> None:
    assert in_frame([[0.0, 0.25, 1.0, 0.5]], Frame.CONCAT_RIGHT) == [[0.5, 0.25, 1.0, 0.5]]


@given(st.lists(st.text(st.characters(exclude_categories=()))))
def test_a_spool_gives_back_its_texts(texts: list[str]) -> None:
    spool = Spool()
    numbers = [spool.add(text) for text in texts]
    assert [spool.get(number) for number in reversed(numbers)] == texts[::-1]
    assert numbers == list(range(len(texts))) and len(spool) == len(texts)
    spool.close()
