"""Which values the options of a build take."""

from __future__ import annotations

from typing import Any

import pytest

from x3spatial.builder.options import BuildOptions
from x3spatial.errors import UserError


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("alpha", [0.001, 0.45, 1.0], [0.0, -0.1, 1.001]),
        ("anchor_k", [1, 5], [0, -1]),
        ("jpeg_quality", [1, 100], [0, 101]),
        ("limit", [None, 1], [0, -1]),
        ("mode", ["anchor", "allpairs"], ["", "all"]),
    ],
)
def test_the_edges_of_ranges(name: str, taken: list[Any], refused: list[Any]) -> None:
    for value in taken:
        assert getattr(BuildOptions(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(UserError, match=f"--{name.replace('_', '-')} {value}"):
            BuildOptions(**{name: value})
