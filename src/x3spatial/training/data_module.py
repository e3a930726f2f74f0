"""From data arguments to data set, sample lengths and collator."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from torch.utils.data import Dataset

from x3spatial.errors import UserError
from x3spatial.formats.task_source import build_facts, data_sha256, recorded_path
from x3spatial.models.roborefer.processing import RoboReferProcessor
from x3spatial.tasks.spec import says_absent
from x3spatial.training.checks import Findings, check_samples
from x3spatial.training.collate import SpatialCollator
from x3spatial.training.dataset import Item, LazySupervisedSpatialDataset
from x3spatial.training.mixtures import Source, read_registry, resolve_mixture
from x3spatial.training.sampler import MixtureSampler
from x3spatial.training.where import Selection, counted_selection, described

MOST_SAMPLES = 100_000_000
"""Of an epoch, whose order is a list in memory."""


class DataChoices(Protocol):
    """The fields of ``DataArguments`` that this module uses."""

    data_path: str
    data_mixture: str
    data_registry: str | None
    image_folder: str
    image_root: str | None
    depth_path: str | None
    long_samples: str
    text_samples: str


class MixtureDataset(Dataset[Item]):
    """Concatenated data sets with the weights for the sampler."""

    def __init__(
        self, parts: Sequence[LazySupervisedSpatialDataset], weights: Sequence[float]
    ) -> None:
        self.parts = list(parts)
        self.weights = list(weights)
        self._ends = list(accumulate(len(part) for part in self.parts))
        self.lengths: list[int] = []
        """Tokens of every sample, media included."""

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Item:
        number = bisect_right(self._ends, index)
        return self.parts[number][index - (self._ends[number - 1] if number else 0)]

    @property
    def sizes(self) -> list[int]:
        """Records per part."""
        return [len(part) for part in self.parts]

    @property
    def uniform(self) -> bool:
        """Whether every sample has images; otherwise a batch may not use the tower."""
        return all(sample.images for part in self.parts for sample in part.samples)


@dataclass(frozen=True, slots=True)
class DataModule:
    """The training data of a run."""

    train_dataset: MixtureDataset
    data_collator: SpatialCollator
    findings: tuple[Findings, ...]
    sources: tuple[Source, ...]
    selections: tuple[Selection, ...]
    """What each source's ``where`` selected."""

    @property
    def not_visible(self) -> float:
        """The share of NOT_VISIBLE answers in an epoch."""
        dataset = self.train_dataset
        seen = [
            (weight, any(map(says_absent, sample.answers)))
            for part, weight in zip(dataset.parts, dataset.weights, strict=True)
            for sample in part.samples
        ]
        return sum(weight for weight, absent in seen if absent) / sum(weight for weight, _ in seen)

    def provenance(self) -> list[dict[str, Any]]:
        """The identity of the data: paths, weights, hashes of the files and of their build manifests."""
        parts = self.train_dataset.parts
        return [
            {
                **data_provenance(part.data_path),
                "name": part.name,
                "samples": len(part),
                "dropped": found.dropped,
                "weight": weight,
                # Only where given: runs of earlier versions can be continued.
                **({"where": described(source.where)} if source.where else {}),
            }
            for part, weight, found, source in zip(
                parts, self.train_dataset.weights, self.findings, self.sources, strict=True
            )
        ]

    def selected(self) -> list[str]:
        """A line per data set with a ``where``: what it selected and left out."""
        return [
            f"{source.name}: {counted_selection(found, source.where)}"
            for source, found in zip(self.sources, self.selections, strict=True)
            if source.where
        ]


def data_provenance(path: Path) -> dict[str, Any]:
    """Path and SHA-256 of a task file, and hashes of the build manifest beside it (None without)."""
    build = build_facts(path)
    return {
        "path": recorded_path(path),
        "sha256": data_sha256(path),
        "build_sha256": build.sha256,
        "build": build.identity,
    }


def choose_sources(choices: DataChoices) -> list[Source]:
    """``data_path`` if it is not empty, else the data sets that ``data_mixture`` names.

    Raises:
        UserError: neither is given, or both.
    """
    if choices.data_path and choices.data_mixture:
        raise UserError('--data-path and --data-mixture: give one of them (the other as "")')
    if choices.data_path:
        return [Source(Path(choices.data_path).name, Path(choices.data_path))]
    if not choices.data_mixture:
        raise UserError("--data-path: name a task file, or a mixture with --data-mixture")
    registry = read_registry(Path(choices.data_registry)) if choices.data_registry else None
    return resolve_mixture(choices.data_mixture, registry)


def make_supervised_data_module(
    processor: RoboReferProcessor,
    choices: DataChoices,
    *,
    model_max_length: int,
    enable_depth: bool = False,
) -> DataModule:
    """Build and check the data of a run.

    Every sample is checked, without decoding images: see ``checks.check_samples``.

    Args:
        processor: of the checkpoint, in the run's aspect mode.
        choices: the data arguments.
        model_max_length: tokens a sample may have, media included.
        enable_depth: whether images come with depth maps.

    Raises:
        UserError: a file, record or image is missing or wrong, or no sample is left (also of one data set
            with a ``where``).
    """
    sources = choose_sources(choices)
    parts = []
    findings = []
    selections = []
    lengths: list[int] = []
    for source in sources:
        depth_folder = source.depth_folder or (
            Path(choices.depth_path) if choices.depth_path else None
        )
        part = LazySupervisedSpatialDataset(
            source.data_path,
            processor,
            image_folder=source.image_folder or Path(choices.image_folder),
            image_root=Path(choices.image_root) if choices.image_root else None,
            enable_depth=enable_depth,
            depth_folder=depth_folder,
            name=source.title,
        )
        selection = source.select(part.samples)
        selections.append(selection)
        if len(selection.kept) < len(part):
            part.keep(selection.kept)
        found = check_samples(
            part,
            model_max_length,
            long_samples=choices.long_samples,
            text_samples=choices.text_samples,
        )
        if found.dropped:
            part.keep(found.kept)
        parts.append(part)
        findings.append(found)
        lengths += found.lengths
    dataset = MixtureDataset(parts, [source.weight for source in sources])
    if not len(dataset):
        raise UserError(
            f"{', '.join(str(source.data_path) for source in sources)}: no sample to train on"
        )
    seen = len(MixtureSampler(dataset.sizes, dataset.weights, seed=0))
    if not 0 < seen <= MOST_SAMPLES:
        raise UserError(
            f"--data-mixture: an epoch would hold {seen:,} samples; expected 1 to {MOST_SAMPLES:,}, change"
            " the weights"
        )
    dataset.lengths = lengths
    return DataModule(
        dataset, SpatialCollator(processor), tuple(findings), tuple(sources), tuple(selections)
    )
