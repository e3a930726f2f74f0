"""The report of a data root: its views with masks and labels, and what the audit found."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.engine.local import default_workers
from x3spatial.engine.ordered import map_ordered
from x3spatial.io.images import ImageError, read_mask
from x3spatial.progress import progress
from x3spatial.reports.web.encoding import Names, json_text, packed, script, script_of
from x3spatial.reports.web.images import Picture, Pictures, missing_summary
from x3spatial.reports.web.options import ReportOptions
from x3spatial.reports.web.outlines import outline
from x3spatial.reports.web.privacy import Shortener, Unshortened
from x3spatial.reports.web.sets import ABSENT, NO_IMAGE, POINT, UNKNOWN
from x3spatial.reports.web.site import DETAILS_PER_FILE, detail_files, detail_name, head
from x3spatial.reports.web.spool import Spool
from x3spatial.roots.audit.run import audit
from x3spatial.roots.findings import Level, Problem, all_findings, kind_of
from x3spatial.roots.layout import (
    DILATED,
    INPAINTED,
    MASK,
    ORIGINAL,
    ObjectKey,
    list_object,
    list_root,
    short_split,
)
from x3spatial.tasks.strata import STRATA

_AHEAD = 64
_SIZE = "mask_share"


@dataclass(frozen=True, slots=True)
class _View:
    id: str
    record: dict[str, Any]
    files: dict[str, str]
    state: int
    share: float


@dataclass(slots=True)
class _Split:
    """The views of one split as columns."""

    name: str
    ids: list[str] = field(default_factory=list)
    scenes: Names = field(default_factory=Names)
    labels: Names = field(default_factory=Names)
    state: list[int] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    image_a: list[int] = field(default_factory=list)
    image_b: list[int] = field(default_factory=list)
    records: list[int] = field(default_factory=list)


class RootSite:
    """See ``site.Site``.

    Raises:
        UserError: the root has no split or cannot be read.
    """

    def __init__(
        self, root: Path, options: ReportOptions, spool_folder: Path | None = None
    ) -> None:
        self._root = root
        self._options = options
        self.pictures = Pictures(options.mode, options.thumb_side)
        self.live = False
        self.title = options.title or Path(os.path.realpath(root)).name
        self._shorten = Unshortened() if options.images == "link" else Shortener([root])
        found = audit(root)
        self._problems = [*found.problems, *found.notes]
        self._facts = found.splits
        listing = list_root(root)
        self._spool = Spool(spool_folder)
        self._splits = {split: _Split(split) for split in listing.splits}
        read = map_ordered(
            lambda key: _views(key, listing.folder(key)),
            listing.objects,
            workers=default_workers(),
            ahead=_AHEAD,
        )
        with progress("reading views", len(listing.objects)) as advance:
            for key, views in zip(listing.objects, read, strict=True):
                for view in views:
                    self._add(self._splits[key.split], view)
                advance()

    def close(self) -> None:
        """Give the temporary file back."""
        self._spool.close()

    def key(self) -> Any:
        """What the pages depend on: the views, and what the audit found."""
        return [[split.ids, split.state, split.share] for split in self._splits.values()] + [
            [list(problem) for problem in self._problems]
        ]

    def problems(self, pictures: Mapping[int, Picture]) -> list[tuple[str, str]]:
        """(path, reason) of what the audit calls a problem, and of pictures that cannot be shown."""
        ordered = [pictures[number] for number in range(len(self.pictures.paths))]
        lost = missing_summary(self.pictures.paths, ordered)
        found = [(p.path, p.reason) for p in self._problems if _level(p) != Level.NOTE.value]
        return [*found, *([] if lost is None else [lost])]

    def scripts(self) -> Mapping[str, Callable[[Mapping[int, Picture]], bytes]]:
        """Name below ``data/`` → what makes it."""
        found: dict[str, Callable[[Mapping[int, Picture]], bytes]] = {}
        for s, split in enumerate(self._splits.values()):
            found[f"set-{s}"] = partial(_index, s, split)
            found[f"ids-{s}"] = partial(_ids, s, split)
            for n in range(detail_files(len(split.ids))):
                found[detail_name(s, n)] = partial(self._details, s, n, split)
        found["report"] = self._report
        return found

    def _add(self, split: _Split, view: _View) -> None:
        split.ids.append(view.id)
        split.scenes.add(view.record["scene"])
        split.labels.add(view.record["label"])
        split.state.append(view.state)
        split.share.append(view.share)
        for name, column in ((ORIGINAL, split.image_a), (INPAINTED, split.image_b)):
            path = view.files.get(name)
            column.append(NO_IMAGE if path is None else self.pictures.number(path))
        split.records.append(self._spool.add(json.dumps({**view.record, "files": view.files})))

    def _details(self, s: int, number: int, split: _Split, _: Mapping[int, Picture]) -> bytes:
        start = number * DETAILS_PER_FILE
        parts = []
        for place in range(start, min(start + DETAILS_PER_FILE, len(split.ids))):
            record = json.loads(self._spool.get(split.records[place]))
            files = record.pop("files")
            polygons = []
            if (path := files.get(MASK) or files.get(DILATED)) is not None:
                try:
                    polygons = outline(read_mask(Path(path)))
                except ImageError:
                    polygons = []
            shown = {name: self._shorten.path(file) for name, file in files.items()}
            detail = {
                "id": split.ids[place],
                "prompt": None,
                "record": {**{k: v for k, v in record.items() if v is not None}, "files": shown},
                "outline": polygons,
                "runs": {},
            }
            parts.append(json_text(detail))
        joined = [part + "," for part in parts[:-1]] + parts[-1:]
        return script_of(detail_name(s, number), ["[", *joined, "]"])

    def _report(self, pictures: Mapping[int, Picture]) -> bytes:
        ordered = [pictures[number] for number in range(len(self.pictures.paths))]
        problems = []
        for problem in self._problems:
            known = kind_of(problem)
            problems.append(
                {
                    "path": self._shorten.path(problem.path),
                    "reason": self._shorten.text(problem.reason),
                    "kind": "OTHER" if known is None else known[0],
                    "level": _level(problem),
                }
            )
        lost = missing_summary(self.pictures.paths, ordered)
        if lost is not None:
            problems.append(
                {
                    "path": self._shorten.path(lost[0]),
                    "reason": lost[1],
                    "kind": "IMAGE",
                    "level": "problem",
                }
            )
        counts = Counter(str(problem["kind"]) for problem in problems)
        words = {name: finding.text for name, finding in all_findings().items()}
        value = head(
            "root", self._shorten.text(self.title), self._options.images, [], live=self.live
        )
        value |= {
            "problems": problems,
            "findings": [
                {"kind": kind, "count": count, "words": words.get(kind, kind.lower())}
                for kind, count in counts.most_common()
            ],
            "runs": [],
            "sets": [self._set(split) for split in self._splits.values()],
            "metrics": [],
            "cells": [],
            "comparisons": [],
            "strata": {_SIZE: {"title": STRATA[_SIZE].title}},
            "outcomes": [],
        }
        return script("report", value)

    def _set(self, split: _Split) -> dict[str, Any]:
        return {
            "name": split.name,
            "task": None,
            "split": short_split(split.name),
            "title": split.name,
            "path": self._shorten.path(str(self._root / split.name)),
            "samples": len(split.ids),
            "absent_token": None,
            "concat": False,
            "details_per_file": DETAILS_PER_FILE,
            "strata": [_SIZE],
            "described": True,
            "facts": self._facts[split.name],
        }


def _level(problem: Problem) -> str:
    known = kind_of(problem)
    return Level.PROBLEM.value if known is None else known[1].level.value


def _ids(s: int, split: _Split, _: Mapping[int, Picture]) -> bytes:
    return script(f"ids-{s}", split.ids)


def _index(s: int, split: _Split, pictures: Mapping[int, Picture]) -> bytes:
    numbers = sorted({*split.image_a, *split.image_b} - {NO_IMAGE})
    places = {number: place for place, number in enumerate(numbers)} | {NO_IMAGE: NO_IMAGE}
    nothing = np.full(len(split.ids), np.nan, np.float32)
    share = np.array(split.share, np.float32)
    value = {
        "n": len(split.ids),
        "scene": split.scenes.packed(),
        "label": split.labels.packed(),
        "truth": packed("u8", np.array(split.state, np.uint8)),
        "tx": packed("f32", nothing),
        "ty": packed("f32", nothing),
        "area": packed("f32", share),
        "strata": {_SIZE: packed("f32", share)},
        "image_a": packed("u32", np.array([places[n] for n in split.image_a], np.uint32)),
        "image_b": packed("u32", np.array([places[n] for n in split.image_b], np.uint32)),
        "images": [pictures[number].to_json() for number in numbers],
        "runs": {},
    }
    return script(f"set-{s}", value)


def _views(key: ObjectKey, folder: Path) -> list[_View]:
    """The views of an object, also those that a build would leave out."""
    item = list_object(key, folder)
    views = []
    for files in item.views:
        state, share = UNKNOWN, float("nan")
        path = files.files.get(MASK) or files.files.get(DILATED)
        if path is not None:
            try:
                mask = read_mask(path)
                share = round(float(mask.mean()), 6)
                state = POINT if share > 0 or mask.any() else ABSENT
            except ImageError:
                pass  # the audit says so
        record = {
            "split": key.split,
            "scene": key.scene,
            "uid": key.uid,
            "label": item.label,
            "rank": files.rank,
            "frame": files.frame,
            "visible": None if state == UNKNOWN else state == POINT,
            "mask_area_fraction": None if np.isnan(share) else share,
        }
        paths = {kind: str(file) for kind, file in files.files.items()}
        views.append(_View(f"{key}/{files.rank}_{files.frame}", record, paths, state, share))
    return views
