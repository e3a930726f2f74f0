"""Plans one scene: the survey, the choice, and its verification at the size that is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from x3spatial.importers.choice import Choice, Chosen, Pair, candidates, choose
from x3spatial.importers.options import ChoiceOptions
from x3spatial.importers.scene import Frame, Instances, Problem, Scene, SceneError
from x3spatial.importers.survey import Surveyed, survey, written_size
from x3spatial.io.images import ImageError
from x3spatial.roots.scene_file import Sight

_ROUNDS = 8
"""Times that a choice is made again because the full size shows something else than the survey."""
_SLACK = 0.8
"""Share of the thresholds of size and visibility that is enough at full size."""


@dataclass(frozen=True)
class FrameFacts:
    """A frame in use, at the size that is written."""

    frame: Frame
    size: tuple[int, int]
    instances: Instances
    sights: Mapping[str, Sight]
    """What it shows of every object that is a choice's."""
    sharpness: float


@dataclass(frozen=True)
class Plan:
    """Everything that writing a scene needs."""

    choices: tuple[Choice, ...]
    frames: Mapping[str, FrameFacts]
    """The frames in use by name, in the order of recording."""
    left_out: Mapping[str, int]
    problems: tuple[Problem, ...]


def make_plan(scene: Scene, options: ChoiceOptions, path: str) -> Plan:
    """Choose a scene's objects and frames.

    Raises:
        SceneError: none of its objects can be used, or no frame.
    """
    items, left_out = candidates(scene, options)
    found = survey(scene, options, [item.uid for item in items])
    if found.blurred:
        left_out["frame: blurred (--min-sharpness)"] = found.blurred
    usable = {one.frame.name: one for one in found.frames}
    problems = [*scene.problems, *found.problems]
    if not usable:
        first = f": {problems[-1].reason}" if problems else ""
        raise SceneError(path, f"no frame can be used{first}")
    known: dict[str, FrameFacts] = {}
    rejected: set[Pair] = set()
    for _ in range(_ROUNDS):
        chosen = choose(scene, items, tuple(usable.values()), options, rejected)
        wrong, unreadable = _verify(scene, chosen, usable, known, options)
        for name, problem in unreadable.items():
            del usable[name]
            problems.append(problem)
        if not wrong and not unreadable:
            break
        rejected |= wrong
    else:
        kept = tuple(
            c for c in chosen.choices if not any((c.item.uid, f) in wrong for f in c.frames)
        )
        chosen = Chosen(kept, chosen.left_out)
    left_out.update(chosen.left_out)
    if not chosen.choices:
        reasons = "; ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        raise SceneError(path, f"none of its objects can be used ({reasons or 'it has none'})")
    used = {name for choice in chosen.choices for name in choice.frames}
    frames = {frame.name: known[frame.name] for frame in scene.frames if frame.name in used}
    return Plan(
        chosen.choices, frames, dict(sorted(left_out.items())), tuple(dict.fromkeys(problems))
    )


def _verify(
    scene: Scene,
    chosen: Chosen,
    usable: Mapping[str, Surveyed],
    known: dict[str, FrameFacts],
    options: ChoiceOptions,
) -> tuple[set[Pair], dict[str, Problem]]:
    """Look at the chosen frames at full size; returns the pairs that are not as surveyed, and bad frames."""
    uids = [choice.item.uid for choice in chosen.choices]
    unreadable: dict[str, Problem] = {}
    for name in dict.fromkeys(name for choice in chosen.choices for name in choice.frames):
        if name in known and set(uids) <= set(known[name].sights):
            continue
        frame = usable[name].frame
        size = written_size(frame.size, options)
        try:
            instances = known[name].instances if name in known else scene.instances(frame, size)
            sights = scene.sights(frame, size, instances, uids)
        except ImageError as error:
            unreadable[name] = Problem(frame.source, f"frame cannot be used: {error.reason}")
            continue
        known[name] = FrameFacts(frame, size, instances, dict(sights), usable[name].sharpness)
    wrong = {
        (choice.item.uid, name)
        for choice in chosen.choices
        for name in choice.frames
        if name in known and not _as_chosen(scene, choice, known[name], options)
    }
    return wrong, unreadable


def _as_chosen(scene: Scene, choice: Choice, facts: FrameFacts, options: ChoiceOptions) -> bool:
    """Whether a frame shows the object, or does not show it, as it was chosen for."""
    sight = facts.sights[choice.item.uid]
    if facts.frame.name in choice.absent:
        return sight.pixels == 0 and (scene.absence_given or sight.absent_by is not None)
    if not scene.choose_frames:
        return sight.pixels > 0
    first = facts.frame.name == choice.frames[0]
    share = sight.pixels / (facts.size[0] * facts.size[1])
    visible = 1.0 if sight.visible_fraction is None else sight.visible_fraction
    return (
        sight.pixels > 0
        and share >= _SLACK * (options.min_share_first if first else options.min_share)
        and visible >= _SLACK * (options.min_visible_first if first else options.min_visible)
    )
