"""What is encoded is what every reader decodes."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from x3spatial.io.images import decode_rgb, encode_png, probe_png


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_png_is_lossless_for_every_reader(image: npt.NDArray[np.uint8]) -> None:
    data = encode_png(image)
    assert probe_png(data) == (image.shape[1], image.shape[0])
    assert (decode_rgb(data) == image).all()
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.mode == "RGB" and (np.asarray(opened) == image).all()
    assert encode_png(image[:, ::-1]) == encode_png(np.ascontiguousarray(image[:, ::-1]))
