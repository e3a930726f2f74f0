"""Normalising: every 8-bit value in every channel, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from PIL import Image  # noqa: E402

from x3spatial.models.roborefer.images import RoboReferImageProcessor  # noqa: E402

MEAN, DEVIATION = [0.481, 0.458, 0.408], [0.269, 0.261, 0.276]


def test_every_value_goes_through_the_stock_steps() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    channels = np.stack([values, values.T, values[::-1]], axis=2)
    processor = RoboReferImageProcessor(
        size={"height": 16, "width": 16}, image_mean=MEAN, image_std=DEVIATION
    )
    flipped = Image.fromarray(np.ascontiguousarray(channels[:, ::-1]))
    rows = processor.stack([Image.fromarray(channels), flipped])
    assert rows.dtype == torch.float32 and rows.shape == (2, 3, 16, 16)
    for channel in range(3):
        for y in range(16):
            for x in range(16):
                scaled = np.float32(channels[y, x, channel]) * np.float32(1 / 255)
                wanted = (scaled - np.float32(MEAN[channel])) / np.float32(DEVIATION[channel])
                assert float(rows[0, channel, y, x]) == float(wanted)
                assert float(rows[1, channel, y, 15 - x]) == float(wanted)
    assert torch.equal(processor.pixels(Image.fromarray(channels)), rows[:1])
