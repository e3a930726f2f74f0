"""The choice of negatives: only verified ones, in the wanted numbers, whatever the order."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x3spatial.builder.negatives import (
    DEFAULT_SHARES,
    Reference,
    Viewpoint,
    choose_negatives,
    kinds_of,
    parse_shares,
)
from x3spatial.errors import UserError
from x3spatial.roots.scene_file import SceneFile, Sight
from x3spatial.tasks.strata import ABSENT_BY

FRAMES = [f"{number:06d}" for number in range(10)]
UIDS = ["1", "2", "3"]


def scene(number: int) -> SceneFile:
    """A scene whose frames show an object, hide it, or show a few pixels of it."""
    rng = random.Random(number)
    sights: dict[str, dict[str, Sight]] = {}
    for uid in UIDS:
        sights[uid] = {}
        for frame in FRAMES:
            pixels = rng.choice([0, 0, 0, 3, 15, 16, 400])
            absent = rng.choice([*ABSENT_BY, None]) if pixels == 0 else None
            sights[uid][frame] = Sight(pixels, 0.0, 0.0, absent)
    return SceneFile(None, {}, {}, {}, {}, sights, {})


def data(count: int) -> dict[str, Any]:
    names = [f"room{number}" for number in range(count)]
    views = [
        Viewpoint(name, FRAMES[(3 * place + rank) % len(FRAMES)], uid, f"{rank:02d}")
        for name in names
        for place, uid in enumerate(UIDS)
        for rank in range(1, 6)
    ]
    return {
        "references": [Reference(v.scene, v.uid, v.rank, v.frame) for v in views if v.rank == "01"],
        "views": views,
        "scenes": {name: scene(number) for number, name in enumerate(names)},
        "places": {name: name for name in names},
        "shares": DEFAULT_SHARES,
        "seed": 42,
        "split": "validation",
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 200), st.randoms())
def test_only_verified_absences(count: int, positives: int, shuffler: random.Random) -> None:
    given_data = data(count)
    chosen = choose_negatives(positives=positives, **given_data)
    own = {(v.scene, v.uid, v.frame) for v in given_data["views"]}
    for one in chosen.negatives:
        a, b = one.reference, one.view
        if one.absence == "other_scene":
            assert a.scene != b.scene
        else:
            sight = given_data["scenes"][a.scene].sights[a.uid][b.frame]
            assert a.scene == b.scene and sight.pixels == 0 and sight.absent_by == one.absence
            assert (a.scene, a.uid, b.frame) not in own  # neither Task2A's nor Task1's
        assert one.verified == "geometry"
    wanted = {name: round(share * positives) for name, share in DEFAULT_SHARES.items()}
    found = kinds_of(chosen.negatives)
    del wanted["removed_rescan"]  # there are no rescans, and nobody asked
    assert "removed_rescan" not in {**found, **chosen.missing}
    for name, number in wanted.items():
        assert found.get(name, 0) + chosen.missing[name] == number
    pairs = Counter((o.reference, o.view.scene, o.view.frame, o.absence) for o in chosen.negatives)
    assert all(number == 1 for number in pairs.values())
    shuffler.shuffle(given_data["views"])
    shuffler.shuffle(given_data["references"])
    assert choose_negatives(positives=positives, **given_data) == chosen


def test_without_scene_files_only_other_scenes_and_unverified() -> None:
    given_data = data(3)
    given_data["scenes"] = dict.fromkeys(given_data["scenes"])
    chosen = choose_negatives(positives=20, **given_data)
    assert kinds_of(chosen.negatives) == {"other_scene": 4}
    assert {one.verified for one in chosen.negatives} == {"none"}
    assert chosen.missing == {"framing": 4, "occlusion": 4, "other_scene": 0}


def test_rescans_of_one_place_are_not_other_scenes() -> None:
    given_data = data(2)
    given_data["places"] = dict.fromkeys(given_data["places"], "kitchen")
    chosen = choose_negatives(positives=20, **given_data)
    assert "other_scene" not in kinds_of(chosen.negatives) and chosen.missing["other_scene"] == 4


def test_barely_visible_views_are_counted_and_never_chosen() -> None:
    given_data = data(4)
    given_data["shares"] = dict.fromkeys(ABSENT_BY, 100.0)  # all there are
    chosen = choose_negatives(positives=100, **given_data)
    own = {(v.scene, v.uid, v.frame) for v in given_data["views"]}
    frames = {(v.scene, v.frame) for v in given_data["views"]}
    few = absent = 0
    for name, about in given_data["scenes"].items():
        for uid, known in about.sights.items():
            for frame, sight in known.items():
                if (name, uid, frame) not in own and (name, frame) in frames:
                    few += 1 <= sight.pixels <= 15
                    absent += sight.absent_by is not None
    assert chosen.barely_visible == few and len(chosen.negatives) == absent > 0


def test_the_option() -> None:
    assert parse_shares("framing=0.2, other_scene=1") == {"framing": 0.2, "other_scene": 1.0}
    for text in (
        "hidden=1",
        "framing",
        "framing=x",
        "framing=-1",
        "framing=1,framing=2",
        "framing=nan",
        "",
    ):
        with pytest.raises(UserError, match="--negatives"):
            parse_shares(text)
