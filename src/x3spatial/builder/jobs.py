"""The input and the result of building one object."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from x3spatial.builder.options import BuildOptions
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import ObjectFiles, ObjectKey
from x3spatial.roots.scene_file import SceneFile
from x3spatial.tasks.ground_truth import sample_seed
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.samples import View


@dataclass(frozen=True, slots=True)
class ObjectJob:
    """The input of ``build_object``; picklable."""

    files: ObjectFiles
    out_dir: Path
    """The folder of the task files, to which the records refer."""
    options: BuildOptions
    templates: dict[str, Template]
    fingerprint: str
    """Hash of the inputs and of every parameter that decides the result."""
    data_root: Path
    """The folder of the splits."""
    place: str | None = None
    """The place that the scene's ``scene.json`` declares."""
    scene: SceneFile | None = None
    """What the scene's ``scene.json`` knows."""
    images_dir: Path | None = None
    """Where images are written now, if they are moved to ``out_dir`` later (a shard); None: there."""

    def seed(self, view: View, purpose: str) -> int:
        """The seed of the random choices for one purpose in one view."""
        key = self.files.key
        return sample_seed(self.options.seed, key.split, key.scene, key.uid, view.name, purpose)


@dataclass(slots=True)
class ObjectResult:
    """The result for one object; survives a round trip through JSON unchanged."""

    key: ObjectKey
    fingerprint: str
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Task name → records, in order."""
    images: dict[str, int] = field(default_factory=dict)
    """Path of every image written, relative to the output folder → its size in bytes."""
    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a journal line."""
        return {
            "key": list(self.key),
            "fingerprint": self.fingerprint,
            "records": self.records,
            "images": self.images,
            "problems": [list(problem) for problem in self.problems],
            "counts": self.counts,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ObjectResult:
        """Create a result from a journal line."""
        return cls(
            key=ObjectKey(*value["key"]),
            fingerprint=value["fingerprint"],
            records=value["records"],
            images=value["images"],
            problems=[Problem(*problem) for problem in value["problems"]],
            counts=value["counts"],
        )
