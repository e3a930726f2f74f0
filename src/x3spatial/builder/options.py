"""The options of a build and their validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from x3spatial.builder.negatives import DEFAULT_SHARES, parse_shares
from x3spatial.errors import UserError
from x3spatial.formats.image_paths import PATH_CHOICES
from x3spatial.inpainting import check_engine
from x3spatial.inpainting.registry import DEFAULT
from x3spatial.roots.crops import check_times
from x3spatial.tasks.spec import TASKS, TaskSpec, choose_tasks, default_tasks

_NEGATIVES = ",".join(f"{kind}={share}" for kind, share in DEFAULT_SHARES.items())

TASKS_DIR = Path("tmp/spatial_tasks_x3")
"""Where task files go unless told otherwise, as in the source document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Everything that decides the output of a build, besides the data.

    Raises:
        UserError: a value is out of range; the message names the option.
    """

    mode: str = "anchor"
    """``anchor``: one reference view per object; ``allpairs``: every ordered pair of views."""
    anchor_k: int = 1
    """Rank of the reference view in anchor mode."""
    alpha: float = 0.45
    """Opacity of the red overlay, above 0 and at most 1."""
    crop_reference: tuple[float, float] | None = None
    """Crop Task1's marked view to between MIN and MAX times the object's extent; None: whole views."""
    use_dilated_mask: bool = False
    """Prefer the dilated mask to the tight one."""
    emit_concat: bool = True
    """Whether to write the side-by-side form of Task1."""
    seed: int = 42
    """Seed of the ground-truth draws."""
    splits: tuple[str, ...] | None = None
    """Folder names of the splits to build; None for all that exist."""
    limit: int | None = None
    """At most this many objects of each split, the first in order."""
    prompts: Path | None = None
    """Folder with prompt templates that replace the built-in ones."""
    jpeg_quality: int = 95
    """JPEG quality of side-by-side images and of the pairs of t2b_unchanged, 1 to 100."""
    decoys: bool = False
    """Fill a hole of the object's shape elsewhere in t2b_unchanged's unchanged pairs."""
    decoy_engine: str = DEFAULT
    """Inpainting engine of --decoys; that of the inpainted images makes both alike."""
    negatives: str = _NEGATIVES
    """t1_negatives: KIND=SHARE of the positives, comma-separated."""
    paths: str = "absolute"
    """Image paths in task files: ``absolute``, or ``relative`` to the folder of the task file."""
    tasks: tuple[str, ...] = field(default_factory=default_tasks)
    """Tasks to build, by name or short name; stored as full names in the registry's order."""

    def __post_init__(self) -> None:
        if self.prompts is not None:
            object.__setattr__(self, "prompts", Path(self.prompts))
        object.__setattr__(self, "tasks", choose_tasks(self.tasks))
        if not self.chosen:
            names = ",".join(self.tasks)
            raise UserError(
                f"--tasks {names}: with --emit-concat 0 no task is left to build; use --emit-concat 1"
            )
        object.__setattr__(self, "alpha", float(self.alpha))  # 1 and 1.0 are the same build
        if self.paths not in PATH_CHOICES:
            raise UserError(f"--paths {self.paths}: must be {' or '.join(PATH_CHOICES)}")
        if self.mode not in ("anchor", "allpairs"):
            raise UserError(f"--mode {self.mode}: must be anchor or allpairs")
        if self.anchor_k < 1:
            raise UserError(f"--anchor-k {self.anchor_k}: view ranks start at 1")
        if not 0.0 < self.alpha <= 1.0:
            raise UserError(f"--alpha {self.alpha}: must be above 0 and at most 1")
        if self.crop_reference is not None:
            check_times("--crop-reference", self.crop_reference)
            uncuttable = [task.name for task in self.chosen if not task.reference_may_be_cut]
            if uncuttable:
                supported = " and ".join(
                    task.name for task in TASKS.values() if task.reference_may_be_cut
                )
                raise UserError(
                    f"--crop-reference: only for {supported}, not {', '.join(uncuttable)};"
                    " use --tasks t1,t2a --emit-concat 0"
                )
        check_engine(self.decoy_engine, option="--decoy-engine", any_hole=True)
        if self.decoy_engine != DEFAULT and not self.decoys:
            raise UserError(f"--decoy-engine {self.decoy_engine}: has no effect without --decoys")
        parse_shares(self.negatives)
        if not 1 <= self.jpeg_quality <= 100:
            raise UserError(f"--jpeg-quality {self.jpeg_quality}: must be 1 to 100")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"--limit {self.limit}: must be at least 1")

    def to_json(self) -> dict[str, Any]:
        """Return the options as the manifest records them."""
        return {
            "mode": self.mode,
            "anchor_k": self.anchor_k if self.mode == "anchor" else None,
            "alpha": self.alpha,
            "use_dilated_mask": self.use_dilated_mask,
            "emit_concat": self.emit_concat,
            "seed": self.seed,
            "splits": None if self.splits is None else list(self.splits),
            "limit": self.limit,
            "jpeg_quality": self.jpeg_quality,
            # Recorded only if set: the manifests of builds from before these options stay valid. The
            # key is the option's first name for the same reason.
            **({} if self.crop_reference is None else {"closeup": list(self.crop_reference)}),
            **({"decoys": True} if self.decoys else {}),
            **({} if self.decoy_engine == DEFAULT else {"decoy_engine": self.decoy_engine}),
            **({} if self.negatives == _NEGATIVES else {"negatives": self.negatives}),
            **({} if self.paths == "absolute" else {"paths": self.paths}),
            **({} if self.tasks == default_tasks() else {"tasks": list(self.tasks)}),
        }

    @property
    def chosen(self) -> tuple[TaskSpec, ...]:
        """The tasks to build."""
        return tuple(
            task
            for task in TASKS.values()
            if task.name in self.tasks and (self.emit_concat or not task.side_by_side)
        )

    @property
    def templates(self) -> frozenset[str]:
        """Names of the prompt templates of the chosen tasks."""
        return frozenset(task.template for task in TASKS.values() if task.name in self.tasks)
