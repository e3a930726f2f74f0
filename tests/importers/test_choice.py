"""Choice of objects and frames, on scenes whose sights are written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.spheres import look_at
from x3spatial.arrays import Float64, UInt8
from x3spatial.importers.camera import Camera
from x3spatial.importers.choice import candidates, choose
from x3spatial.importers.options import ChoiceOptions
from x3spatial.importers.plan import make_plan
from x3spatial.importers.results import ImportSummary, ObjectChoice, ViewChoice
from x3spatial.importers.scene import Frame, IdMap, Instances, Scene, SceneError, SceneObject, Size
from x3spatial.importers.survey import survey
from x3spatial.io.images import ImageError
from x3spatial.roots.scene_file import Sight

WIDTH, HEIGHT = 64, 48
BOX = np.array([[-0.1, -0.1, -0.1], [0.1, 0.1, 0.1]])
OPTIONS = ChoiceOptions(min_difference=0.0)
Facts = dict[str, Sight]


def image(seed: int) -> UInt8:
    return np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def camera(degrees: float) -> Camera:
    turn = np.radians(degrees)
    pose = look_at(np.array([2 * np.cos(turn), 2 * np.sin(turn), 0.5]), np.zeros(3))
    return Camera(WIDTH, HEIGHT, 50, 50, 32, 24, pose)


def seen(pixels: int = 200, visible: float = 1.0, framed: float = 1.0) -> Sight:
    return Sight(pixels, visible, framed, None)


HIDDEN, MISSED = Sight(0, 0.0, 1.0, "occlusion"), Sight(0, 0.0, 0.0, "framing")
UNKNOWN = Sight(0, 0.0, 1.0, None)


class Hand(Scene):
    """A scene of frames at given angles with given sights; ``exact`` replaces sights at full size."""

    name, split = "hand", "validation"

    def __init__(
        self,
        sights: Sequence[tuple[float, Facts]],
        objects: Sequence[SceneObject] = (SceneObject("1", "mug", box=BOX),),
        *,
        exact: Mapping[tuple[str, str], Sight] | None = None,
        read: Callable[[int], UInt8] = image,
    ) -> None:
        self.survey_scale = 0.5 if exact is not None else 1.0
        self.facts_of = {f"{k:03d}": facts for k, (_, facts) in enumerate(sights)}
        self.exact = exact or {}
        self.objects = list(objects)
        self.frames = [
            Frame(f"{k:03d}", (WIDTH, HEIGHT), lambda k=k: read(k), f"{k:03d}.png", camera(angle))  # type: ignore[misc]
            for k, (angle, _) in enumerate(sights)
        ]

    def instances(self, frame: Frame, size: Size) -> Instances:
        return IdMap(np.zeros((size[1], size[0]), np.int32), {})

    def sights(
        self, frame: Frame, size: Size, instances: Instances, uids: Sequence[str]
    ) -> Mapping[str, Sight]:
        share = size[0] * size[1] / (WIDTH * HEIGHT)
        found = {}
        for uid in uids:
            sight = self.facts_of[frame.name].get(uid, UNKNOWN)
            if size == (WIDTH, HEIGHT):
                sight = self.exact.get((uid, frame.name), sight)
            found[uid] = replace(sight, pixels=round(sight.pixels * share))
        return found


def frames_of(scene: Scene, options: ChoiceOptions = OPTIONS) -> tuple[str, ...]:
    (choice,) = make_plan(scene, options, "hand").choices
    return choice.frames


def angle(scene: Scene, a: str, b: str) -> float:
    positions: dict[str, Float64] = {}
    for frame in scene.frames:
        assert frame.camera is not None
        positions[frame.name] = frame.camera.position / np.linalg.norm(frame.camera.position)
    return float(np.degrees(np.arccos(positions[a] @ positions[b])))


def test_view_01_sees_it_best_and_the_others_are_20_to_100_degrees_apart() -> None:
    ring = [(3.0 * k, {"1": seen(200 + k, 0.8)}) for k in range(60)]
    ring[20] = (60.0, {"1": seen(260, 1.0)})
    ring.append((10.0, {"1": MISSED}))
    scene = Hand(ring)
    frames = frames_of(scene)
    assert frames[0] == "020" and len(frames) == 5 and "060" in frames
    shows = [name for name in frames if name != "060"]
    apart = [angle(scene, a, b) for a in shows for b in shows if a < b]
    assert min(apart) >= 20 and max(apart) <= 100


def test_beyond_the_limits_near_duplicates_are_never_used() -> None:
    scene = Hand(
        [(0.0, {"1": seen()}), (2.0, {"1": seen()}), (11.0, {"1": seen()}), (4.0, {"1": MISSED})]
    )
    frames = frames_of(scene)
    assert len(frames) == 3 and "003" in frames
    shows = [name for name in frames if name != "003"]
    assert angle(scene, *shows) > 8
    with pytest.raises(SceneError, match="differ enough"):
        make_plan(Hand([(0.0, {"1": seen()}), (2.0, {"1": seen()})]), OPTIONS, "hand")


def test_absence_needs_a_known_cause() -> None:
    views = [(25.0 * k, {"1": seen()}) for k in range(3)]
    for sight, used in ((UNKNOWN, False), (HIDDEN, True), (MISSED, True)):
        scene = Hand([*views, (80.0, {"1": sight})])
        plan = make_plan(scene, OPTIONS, "hand")
        assert ("003" in plan.choices[0].frames) == used
        assert (plan.choices[0].absent == {"003"}) == used
        told = "view without the object: no frame is known not to show it" in plan.left_out
        assert told != used


@pytest.mark.parametrize(
    "sight",
    [seen(0), seen(1), seen(2900), seen(200, visible=0.1)],
    ids=["nothing", "tiny", "too large", "hidden"],
)
def test_frames_that_show_too_little_or_too_much_are_not_used(sight: Sight) -> None:
    options = replace(OPTIONS, min_share=0.002)
    scene = Hand([(0.0, {"1": seen()}), (30.0, {"1": seen()}), (60.0, {"1": sight})])
    assert set(frames_of(scene, options)) == {"000", "001"}


def test_structure_unique_labels_and_the_number_of_objects() -> None:
    objects = [
        SceneObject("1", "chair", box=BOX), SceneObject("2", "chair", box=BOX),
        SceneObject("3", "Wall", box=BOX), SceneObject("4", "mug", box=BOX),
    ]  # fmt: skip
    facts = {str(k): seen(100 * k) for k in range(1, 5)}
    scene = Hand([(0.0, facts), (40.0, facts)], objects)
    plan = make_plan(scene, OPTIONS, "hand")
    assert [c.label for c in plan.choices] == ["chair 1", "chair 2", "mug"]
    assert plan.left_out["object: structure, or not an object (--exclude)"] == 1
    unique = make_plan(scene, replace(OPTIONS, labels="unique"), "hand")
    assert [c.label for c in unique.choices] == ["mug"]
    assert unique.left_out["object: its label is not unique (--labels unique)"] == 2
    best = make_plan(scene, replace(OPTIONS, objects=2), "hand")
    assert [c.item.uid for c in best.choices] == ["2", "4"]  # the largest of equals
    assert best.left_out["object: beyond --objects"] == 1
    assert candidates(scene, replace(OPTIONS, exclude=()))[0][2].label == "Wall"


def test_blurred_and_unreadable_frames_are_left_out_and_counted() -> None:
    def read(number: int) -> UInt8:
        if number == 1:
            return np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        if number == 2:
            raise ImageError("file is missing")
        return image(number)

    scene = Hand([(30.0 * k, {"1": seen()}) for k in range(4)], read=read)
    plan = make_plan(scene, OPTIONS, "hand")
    assert set(plan.choices[0].frames) == {"000", "003"}
    assert plan.left_out["frame: blurred (--min-sharpness)"] == 1
    assert [problem.path for problem in plan.problems] == ["002.png"]


def test_pictures_that_look_alike_are_near_duplicates_without_poses() -> None:
    objects = [SceneObject("1", "mug")]  # no box: angles are unknown
    scene = Hand(
        [(0.0, {"1": seen()}), (50.0, {"1": seen()}), (90.0, {"1": seen()})],
        objects,
        read=lambda number: image(number // 2),
    )
    frames = make_plan(scene, ChoiceOptions(), "hand").choices[0].frames
    assert len(frames) == 2 and "002" in frames


def test_frames_that_the_full_size_shows_otherwise_are_chosen_again() -> None:
    views = [(25.0 * k, {"1": seen()}) for k in range(4)]
    views += [(12.0, {"1": MISSED}), (37.0, {"1": MISSED})]
    plain = frames_of(Hand(views, exact={}))
    absent = next(name for name in plain if name in ("004", "005"))
    other = "005" if absent == "004" else "004"
    again = frames_of(Hand(views, exact={("1", absent): seen(3)}))
    assert other in again and absent not in again
    assert "000" not in frames_of(Hand(views, exact={("1", "000"): UNKNOWN}))


def test_the_choice_does_not_depend_on_the_order_of_the_objects() -> None:
    facts = {"1": seen(300), "2": seen(250)}
    objects = [SceneObject("1", "mug", box=BOX), SceneObject("2", "lamp", box=BOX)]
    sights = [(22.0 * k, facts) for k in range(8)] + [(5.0, {"1": HIDDEN, "2": MISSED})]
    one, other = Hand(sights, objects), Hand(sights, objects[::-1])
    found = []
    for scene in (one, other):
        seen_frames = survey(scene, OPTIONS, ["1", "2"]).frames
        chosen = choose(scene, list(scene.objects), seen_frames, OPTIONS).choices
        found.append({choice.item.uid: choice.frames for choice in chosen})
    assert found[0] == found[1]


def test_a_view_without_the_object_says_so_and_why() -> None:
    # Photographs have no cause and no angle; scanned rooms have both.
    views = (
        ViewChoice(1, "IMG_1", 900, None, None, None),
        ViewChoice(2, "IMG_2", 0, None, None, None),
        ViewChoice(3, "IMG_3", 0, 0.0, "framing", 40.0),
        ViewChoice(4, "IMG_4", 70, 0.5, None, 40.0),
    )
    choice = ObjectChoice("validation", "room", "mug", "mug", views)
    table = str(ImportSummary(Path("root"), choices=[choice]).table())
    assert "IMG_1 IMG_2(absent) IMG_3(absent, framing) IMG_4(40)" in table
