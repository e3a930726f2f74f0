"""What can be wrong with a data root: one entry per finding, with its text and its cure.

Listing, loading and audit report through these entries, and ``docs/audit.md`` is made from them
(``python scripts/make_findings.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import NamedTuple

MAX_FRAME_BYTES = 115
"""Longest frame name: the name of a concat image holds two of them, and a file name 255 bytes."""


class Problem(NamedTuple):
    """Bad data, or data that deserves a look: its path and the reason."""

    path: str
    reason: str


class Level(Enum):
    """How bad a finding is."""

    LEFT_OUT = "left out"
    """A build reports it too, in the same words, and leaves the file, view or object out."""
    PROBLEM = "problem"
    """A build does not see it, and samples would be wrong."""
    NOTE = "note"
    """The data can be used as it is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of finding."""

    level: Level
    text: str
    """The reason, with ``{fields}`` for details. That of a build stands alone; an audit adds the cure."""
    cure: str

    def at(self, path: object, **details: object) -> Problem:
        """The finding at ``path``."""
        reason = self.text.format(**details)
        return Problem(
            str(path), reason if self.level is Level.LEFT_OUT else f"{reason}; {self.cure}"
        )


def _left_out(text: str, cure: str) -> Finding:
    return Finding(Level.LEFT_OUT, text, cure)


def _problem(text: str, cure: str) -> Finding:
    return Finding(Level.PROBLEM, text, cure)


def _note(text: str, cure: str) -> Finding:
    return Finding(Level.NOTE, text, cure)


# Folders and names
NOT_A_SPLIT = _left_out(
    "not a split folder (train, validation, val, test)", "rename it or move it out of the root"
)
SPLIT_NOT_A_FOLDER = _left_out(
    "a split's name, but not a folder (a broken link?)", "mount or restore what the link leads to"
)
SPLIT_EMPTY = _left_out("split has no object", "remove the folder or fill it")
FOLDER_UNREADABLE = _left_out(
    "folder cannot be read: {reason}", "correct its permissions, or the link"
)
FILE_AMONG_SCENES = _left_out("unexpected file where scene folders are", "move it out of the root")
SCENE_LEVEL_MISSING = _left_out(
    "object folder where scene folders are",
    "put it into a scene's folder: {split}/{scene}/uid_{uid}",
)
NOT_AN_OBJECT = _left_out(
    "not an object folder (uid_{{uid}}) or scene.json", "rename it or move it out of the root"
)
NOT_UTF8 = _left_out("name is not valid UTF-8", "rename it")
SAME_OBJECT_IDS = _left_out(
    "object left out: its samples would have the same ids as those of {first}",
    "rename the scene or the object",
)
SCENE_FILE_UNREADABLE = _left_out(
    "scene.json cannot be read: {reason}",
    "write it again or remove it; the views are used without it",
)
SCENE_FILE_MALFORMED = _left_out(
    "scene.json: {reason}; the scene has no strata",
    "write it again or remove it; the views are used without it",
)
PLACE_INVALID = _left_out(
    "scene.json: place is not a text; ignored", "write the name of the place as a string"
)
OBJECT_EMPTY = _left_out("object has no view", "remove the folder, or add its files")
MISNAMED = _left_out("name is not {{NN}}_{{frame}}_{{kind}}.png{hint}", "rename the file")
NOT_A_FILE = _left_out("not a file, or a broken link", "restore what the link leads to")
WRONG_ENDING = _left_out("{kind} files must be {allowed}, not {ending}; convert it", "convert it")
FRAME_TOO_LONG = _left_out(
    f"frame name of more than {MAX_FRAME_BYTES} bytes; shorten it", "shorten it"
)
TWO_FILES = _left_out("two files of one rank and kind: {names}", "remove one of them")
TWO_FRAMES = _left_out(
    "files of one view name different frames: {names}", "give them one frame, or two ranks"
)
SAME_VIEW_NAMES = _left_out(
    "view left out: rank and frame make the same name as those of {first}",
    "rename one of the views",
)
LABEL_UNREADABLE = _left_out(
    "label file cannot be read: {reason}", "write it again; until then the object has no label"
)
LABEL_INVALID = _left_out("label is not a text but of type {found}", "write the label as a string")
LABEL_NOT_UNICODE = _left_out(
    "label is not valid Unicode", "write it again; until then the object has no label"
)

# Files of a view
ORIGINAL_MISSING = _left_out("view left out: original is missing", "add the original")
MASK_MISSING = _left_out(
    "view left out: it has no mask", "add a mask; an empty one where the object is not visible"
)
MASK_DAMAGED = _left_out("view left out: mask: {reason}", "write the mask again")
ORIGINAL_DAMAGED = _left_out("view left out: original: {reason}", "write the original again")
MASK_SIZE = _left_out(
    "view left out: mask is {size}, original is {expected}",
    "resize the mask by nearest neighbour; swapped sides: see the orientation tag of the original",
)
INPAINTED_MISSING = _left_out(
    "left out of Task2B: inpainted image is missing", "add it, or build --tasks t1,t2a"
)
INPAINTED_DAMAGED = _left_out(
    "left out of Task2B: inpainted image: {reason}", "write the inpainted image again"
)
INPAINTED_SIZE = _left_out(
    "left out of Task2B: inpainted image is {size}, original is {expected}",
    "write it in the size of the original",
)
NO_ANCHOR = _left_out(
    "no usable view of rank {rank} (--anchor-k): no Task1 or Task2A",
    "repair that view, or choose another --anchor-k or --mode allpairs",
)
DAMAGED = _problem("{what}: {reason}", "write the file again")
OTHER_SIZE = _problem(
    "{what} is {size}, original is {expected}", "write it in the size of the original"
)

# Contents
INPAINTED_IDENTICAL = _problem(
    "inpainted image is identical to the original although the mask is not empty",
    "inpaint the object, or remove the file",
)
INPAINTED_OTHER_VIEW = _problem(
    "inpainted image differs from the original in {share:.0%} of the pixels outside the dilated mask:"
    " not the same view?",
    "check that both show the same view",
)
MASK_IN_ALPHA = _problem(
    "mask is in the alpha channel, which is ignored: its colours are {colours}, alpha covers {share:.1%}",
    "write it as colours, 255 for the object and 0 elsewhere",
)
MASK_OTHER_THAN_ALPHA = _problem(
    "colours above 0 cover {share:.1%} and alpha {alpha:.1%} of the view; alpha is ignored",
    "write the mask as colours, 255 for the object and 0 elsewhere",
)
MASK_FULL = _problem(
    "mask covers the whole view, so every point would be right",
    "write 0 where the object is not; is the background's value or colour above 0?",
)
MASK_PALETTE_BLACK = _problem(
    "mask is empty, because all colours of its palette are black; its indices are not all equal",
    "give the object a colour",
)
MASK_FAINT = _problem(
    "mask holds {count} faint pixels (below half of its highest value) away from the object, as JPEG"
    " compression and blur leave them; all count as the object",
    "set every pixel below half to 0 and store the mask as PNG only",
)
MASK_FAINT_ONLY = _problem(
    "mask holds only values up to {value}, those of the object's other views reach {usual}; all count as the"
    " object",
    "set faint pixels to 0; without them the object may be absent",
)
MASK_LABELS = _problem(
    "mask holds the values {values} in regions of their own, and all count as the object",
    "write 0 for everything else (ignore labels, other objects)",
)
SIXTEEN_BIT_DARK = _problem(
    "16-bit image with values up to {highest} of 65535: read by its high byte, it is almost black",
    "scale the values to 0..65535, or store 8 bits",
)
SCENE_IN_TWO_SPLITS = _problem(
    "scene is in two splits: {splits}", "keep all objects of a scene in one split"
)
PLACE_IN_TWO_SPLITS = _problem(
    "scans of one place, {place}, are in two splits: {scenes}",
    "keep all scans of a place in one split",
)
SAME_BYTES = _problem(
    "same image bytes as {first}, in another split", "keep each view in one split"
)

# Notes
NO_INPAINTED = _note(
    "no view has an inpainted image: no Task2B", "none is needed with --tasks t1,t2a"
)
ORIENTATION = _note(
    "orientation tag {tag} ({meaning}), which is not applied: stored pixels are the frame",
    "if mask or size do not match, store the image upright and without the tag",
)
SIXTEEN_BIT = _note("16-bit image: its high byte is used", "store 8 bits if its low byte matters")
MASK_LARGE = _note(
    "mask covers {share:.0%} of the view", "check that object and background are not swapped"
)
MASK_SOFT = _note(
    "mask has soft edges: {count} pixels below half of its highest value, all count as the object",
    "set them to 0 for the exact outline",
)
MASK_VALUES = _note(
    "mask holds the values {values}; all count as the object", "write 0 for what is not the object"
)
MASK_OTHER_VALUE = _note(
    "mask's value is {value}, in most other views of the object {usual}",
    "check that it is not an ignore label; if it is, write 0",
)
MASK_ALPHA_DIFFERS = _note(
    "alpha is ignored; its outline differs from that of the colours in {share:.1%} of the view",
    "remove the alpha channel",
)
MASK_EMPTY_TWIN = _note(
    "{empty} mask is empty and {filled} mask is not: visible or not depends on which is used",
    "write both from one source",
)
MASK_NOT_INSIDE = _note(
    "dilated mask does not hold the whole tight mask", "check that the two are not swapped"
)


def all_findings() -> dict[str, Finding]:
    """Every finding by its name."""
    return {name: value for name, value in globals().items() if isinstance(value, Finding)}


@cache
def _patterns() -> list[tuple[str, Finding, re.Pattern[str]]]:
    """Name, finding, and a pattern that its reasons match; the longest texts first."""
    found = []
    for name, finding in all_findings().items():
        text = finding.text.replace("{{", "\0").replace("}}", "\1")
        parts = [re.escape(part) for part in re.split(r"\{[^}]*\}", text)]
        pattern = ".*?".join(parts).replace("\0", r"\{").replace("\1", r"\}")
        found.append((name, finding, re.compile(pattern, re.DOTALL)))
    return sorted(found, key=lambda item: len(item[1].text), reverse=True)


def kind_of(problem: Problem) -> tuple[str, Finding] | None:
    """The name of a problem's kind in ``all_findings``, and the finding; None for another package's."""
    for name, finding, pattern in _patterns():
        if pattern.match(problem.reason):
            return name, finding
    return None


def grouped(found: Iterable[Problem]) -> list[Problem]:
    """One entry per reason, at the first of its paths, with the number of others: for lists on a terminal.

    Reasons that differ only in their numbers are one.
    """
    groups: dict[str, list[Problem]] = {}
    for problem in found:
        groups.setdefault(re.sub(r"\d[\d.]*", "#", problem.reason), []).append(problem)
    return [
        first
        if not others
        else first._replace(reason=f"{first.reason} (and {len(others)} more like it)")
        for first, *others in groups.values()
    ]
