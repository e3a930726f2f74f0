"""Why a set that was asked for has no samples.

The document's sets are part of every build and may be empty. The others are asked for by name, so a build
says which of them it could not make, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from x3spatial.builder.negatives import parse_shares
from x3spatial.builder.options import BuildOptions
from x3spatial.errors import UserError
from x3spatial.tasks.spec import TaskSpec, Views


@dataclass(frozen=True, slots=True)
class NotMade:
    """A set without samples in one split."""

    task: str
    split: str
    """Folder name of the split."""
    reason: str

    def to_json(self) -> dict[str, str]:
        """The entry of ``build.json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the scenes of a split."""

    places: int
    """Number of places of its scenes with objects."""
    scene_files: int
    """Number of scenes whose ``scene.json`` knows something."""


def read_not_made(manifest: Mapping[str, Any] | None) -> tuple[NotMade, ...]:
    """The entries of a ``build.json``; none if there is no such file."""
    return tuple(NotMade(**entry) for entry in (manifest or {}).get("not_made", ()))


def is_asked_for(task: TaskSpec) -> bool:
    """Whether a set is only built where it is asked for: it then has a reason where it has no samples."""
    return not task.by_default


def why_empty(
    task: TaskSpec, counts: Mapping[str, Any], options: BuildOptions, known: Known
) -> str:
    """The reason why a task has no samples in a split.

    Args:
        task: the task.
        counts: the split's counts in ``build.json``.
        options: those of the build.
        known: what is known of the split's scenes.
    """
    if not counts.get("objects"):
        return "there is no object"
    if not counts["views"]:
        return "no view can be used (see the problems)"
    if counts["views"] == counts["views_not_visible"]:
        return "no view shows its object: all masks are empty"
    if task.needs_inpainted and not counts["views_to_remove_from"]:
        return "no view that shows its object has an inpainted image"
    if task.views is Views.TWO and not counts["pairs"]:
        if counts["pairs_with_empty_reference"]:
            return "no reference view shows its object"
        if options.mode == "anchor":
            return (
                f"no object has a usable view of rank {options.anchor_k} (--anchor-k) and another"
            )
        return "no object has two usable views"
    if task.across_objects:
        return _why_no_negatives(counts, options, known)
    if task.views is Views.TWO and task.mask_of_removed:
        return "no pair has a view B that shows the object and has an inpainted image"
    if counts.get("views_without_room_for_a_decoy"):
        return "no view has room for a decoy (--decoys)"
    if counts.get("views_without_an_equal_decoy"):
        return "no decoy would change a view about as much as the removal does (--decoys)"
    return "no view or pair of views fits it"


def _why_no_negatives(counts: Mapping[str, Any], options: BuildOptions, known: Known) -> str:
    if known.places < 2 and not known.scene_files:
        return "all views are of one place, and no scene.json knows what they show"
    positives = counts["positives"]
    shares = parse_shares(options.negatives)
    wanted = [kind for kind, share in shares.items() if round(share * positives)]
    if not wanted:
        return (
            f"--negatives {options.negatives} asks for none: the shares are of {positives} pairs that"
            " show their object"
        )
    return f"no view is known not to show an object of another folder ({', '.join(wanted)})"


def remarks(found: Iterable[NotMade], counts: Mapping[str, Any]) -> list[str]:
    """What a build says of sets that lack samples, a line each.

    ``no t1_counterfactual, t2b_added in train, validation: ...`` for sets without samples, and
    ``t1_negatives in train: 3 of 20 framing could not be had`` for fewer negatives than asked for.

    Args:
        found: the sets without samples.
        counts: the counts of ``build.json``.
    """
    splits: dict[tuple[str, str], list[str]] = {}
    for one in found:
        splits.setdefault((one.task, one.reason), []).append(one.split)
    tasks: dict[tuple[str, str], list[str]] = {}
    for (task, reason), names in splits.items():
        tasks.setdefault((", ".join(names), reason), []).append(task)
    lines = [f"no {', '.join(names)} in {where}: {why}" for (where, why), names in tasks.items()]
    for split, facts in counts.items():
        negatives = facts.get("negatives", {})
        made, missing = negatives.get("made", {}), negatives.get("missing", {})
        if made and missing:
            told = (f"{n} of {n + made.get(kind, 0)} {kind}" for kind, n in missing.items())
            lines.append(f"t1_negatives in {split}: {', '.join(told)} could not be had")
    return lines


def refuse_nothing(found: Iterable[NotMade], tasks: Sequence[str], option: str, root: Path) -> None:
    """Refuse a choice of sets of which none could be made.

    Args:
        found: what could not be made.
        tasks: names of the sets, none of which has samples.
        option: the option that chose them.
        root: the data root.

    Raises:
        UserError: a reason is known; the message has each one once.
    """
    reasons: dict[str, list[str]] = {}
    for one in found:
        if one.task in tasks:
            reasons.setdefault(one.reason, []).append(one.task)
    if not reasons:
        return
    told = "; ".join(
        reason if len(tasks) == 1 else f"{', '.join(dict.fromkeys(names))}: {reason}"
        for reason, names in reasons.items()
    )
    raise UserError(f"{option}: cannot be made from {root}: {told}")
