"""One small room as a data root and as scans in every layout, rendered once per session."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from x3spatial.synth import plan
from x3spatial.synth.generate import render_scenes
from x3spatial.synth.layouts.registry import LAYOUTS
from x3spatial.synth.layouts.run import render_scans

ROOM: dict[str, Any] = {
    "width": 160, "height": 120, "samples": 1, "seed": 5, "workers": 1,
}  # fmt: skip
FRAMES = 14
SMALL = 25
"""Pixels at this size that 400 at 640 x 480 are."""


def write_all(folder: Path) -> Path:
    """Write ``folder/root``, the data root, and ``folder/LAYOUT`` for all layouts.

    The room is planned once: the plan depends on the options only.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "make_plan", functools.cache(plan.make_plan))
        patch.setattr("x3spatial.synth.writer.make_plan", plan.make_plan)
        render_scenes(folder / "root", {"train": 1}, depth=True, **ROOM)
        for layout in LAYOUTS:
            render_scans(folder / layout, layout, {"train": 1}, frames=FRAMES, **ROOM)
    return folder
