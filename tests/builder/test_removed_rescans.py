"""Negatives from rescans: views that show the place of an object after it was removed."""

from __future__ import annotations

from typing import Any

import pytest

from x3spatial.builder.negatives import (
    BARELY_VISIBLE,
    SHOWS_PLACE,
    Reference,
    Viewpoint,
    choose_negatives,
)
from x3spatial.roots.scene_file import SceneFile, SceneFileError, Sight, parse_scene_file


def scene(removed: Any = ()) -> SceneFile:
    value = {"objects": [], "frames": {}, "place": "flat"}
    found = parse_scene_file(value | {"removed": removed} if removed != () else value, "flat")
    assert found is not None
    return found


def entry(views: dict[str, tuple[int, float]]) -> dict[str, Any]:
    shown = {f: {"pixels": n, "visible_fraction": share} for f, (n, share) in views.items()}
    return {"scene": "before", "uid": "7", "label": "chair", "views": shown}


def chosen(removed: Any, share: float = 1.0, positives: int = 10) -> Any:
    return choose_negatives(
        [Reference("before", "7", "01", "000010"), Reference("before", "8", "01", "000010")],
        [Viewpoint("after", f"{k:06d}", uid, "01") for k in range(5) for uid in ("3", "8")],
        positives,
        {"before": scene(), "after": scene(removed)},
        {"before": "flat", "after": "flat"},
        {"removed_rescan": share},
        seed=1,
        split="train",
    )


def test_only_views_that_would_show_it() -> None:
    views = {
        "000000": (400, 0.9),
        "000001": (400, SHOWS_PLACE),
        "000002": (400, SHOWS_PLACE - 0.01),
        "000003": (BARELY_VISIBLE, 1.0),
        "000009": (400, 1.0),  # no such view in the root
    }
    found = chosen([entry(views)])
    assert [(n.reference.uid, n.view.frame) for n in found.negatives] == [
        ("7", "000000"),
        ("7", "000001"),
    ]
    assert {(n.absence, n.verified) for n in found.negatives} == {("removed_rescan", "geometry")}
    assert found.missing == {"removed_rescan": 8}


def test_a_share_of_them_is_drawn() -> None:
    views = {f"{k:06d}": (400, 1.0) for k in range(5)}
    found = chosen([entry(views)], 0.3)
    assert len(found.negatives) == 3 and found.missing == {"removed_rescan": 0}
    assert found == chosen([entry(views)], 0.3)


def test_without_rescans_what_is_missing_is_said_to_who_asked() -> None:
    assert chosen([], 0.2).missing == {}  # the default
    assert chosen([], 0.5).missing == {"removed_rescan": 5}


@pytest.mark.parametrize(
    ("removed", "reason"),
    [
        ([{}], "'removed.scene' is missing"),
        ([{"scene": "a", "uid": "1", "views": {"1": {}}}], "pixels' is missing"),
        (3, "'removed' is not a list"),
    ],
)
def test_malformed(removed: Any, reason: str) -> None:
    with pytest.raises(SceneFileError, match=reason):
        scene(removed)


def test_the_sight_of_a_place() -> None:
    about = scene([entry({"000000": (400, 0.9)})])
    assert about.removed["before"]["7"]["000000"] == Sight(400, 0.9, None, None)
