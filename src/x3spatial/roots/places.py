"""The place that a scene was recorded at. Scans of one place are not independent of each other.

It decides leakage between splits and the clusters of the bootstrap.
"""

from __future__ import annotations

import re

_RESCAN = re.compile(r"(scene\d{4})_\d{2}")
"""ScanNet's names of scans: place and number."""


def place_of(scene: str, declared: str | None = None) -> str:
    """The place of a scene.

    Args:
        scene: the name of its folder.
        declared: ``place`` in its ``scene.json``; None if there is none.

    Returns:
        ``declared``, else ``sceneNNNN`` of a name ``sceneNNNN_NN``, else the scene's own name.

    >>> place_of("scene0011_01"), place_of("kitchen_01"), place_of("kitchen_01", "kitchen")
    ('scene0011', 'kitchen_01', 'kitchen')
    """
    if declared is not None:
        return declared
    rescan = _RESCAN.fullmatch(scene)
    return scene if rescan is None else rescan[1]
