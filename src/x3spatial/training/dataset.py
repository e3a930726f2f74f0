"""``LazySupervisedSpatialDataset``: the records of a task file as training samples, decoded on demand.

What a sample looks like to the model is decided in ``models.roborefer.chat`` and ``images``, for training and
evaluation alike; the rules are described from the public code of Zhoues/RoboRefer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch.utils.data import Dataset

from x3spatial.arrays import Int32
from x3spatial.errors import UserError
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.record_fields import checked_text, fraction, optional_text
from x3spatial.formats.task_file import TaskRecord, check_exists
from x3spatial.formats.task_source import iter_values
from x3spatial.io.images import ImageError
from x3spatial.io.members import file_at, open_file
from x3spatial.models.local.image_loading import load_rgb
from x3spatial.models.roborefer.chat import (
    DEPTH_TAG,
    IMAGE_TAG,
    SENTINEL,
    expand_tiles,
    media_prefix,
    preprocess_rgbd,
    render_chat,
    to_messages,
)
from x3spatial.models.roborefer.depth import depth_path
from x3spatial.models.roborefer.images import load_depth, tile_grid
from x3spatial.models.roborefer.processing import RoboReferProcessor
from x3spatial.tasks.strata import Strata
from x3spatial.training.labels import answer_labels

Item = dict[str, Any]
"""``input_ids`` and ``labels`` ``[S]``, one media id per image (or tile); ``image`` and ``depth``
``[tiles, 3, H, W]`` or None."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One record; paths as written in the file."""

    id: str
    images: tuple[str, ...]
    depths: tuple[str, ...]
    conversations: tuple[Mapping[str, str], ...]
    other: str | None = None
    """A field that other formats hold images in, if the record has one and no ``image``."""
    unknown: tuple[str, ...] = ()
    """Its fields that task files do not have; they are not read."""
    strata: Strata | None = None
    absence: str | None = None
    mask_area_fraction: float | None = None
    """As in ``TaskRecord``, for the selection of records."""

    @classmethod
    def from_json(cls, value: Any, number: int) -> Sample:
        """Read a LLaVA-style record; ``image`` and ``depth`` are a path, a list or missing.

        Raises:
            ValueError: a field has the wrong type, or there is no answer.
        """
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object, found {type(value).__name__}")
        turns = value.get("conversations")
        if not isinstance(turns, list) or not turns:
            raise ValueError("field 'conversations' must be a list of turns")
        for turn in turns:
            if not isinstance(turn, Mapping) or not isinstance(turn.get("value"), str):
                raise ValueError("a turn must have 'from' and a text 'value'")
            checked_text(turn["value"], "value")
            if turn.get("from") not in ("human", "gpt"):
                raise ValueError(f"a turn is from {turn.get('from')!r}; expected human or gpt")
        if all(turn["from"] != "gpt" for turn in turns):
            raise ValueError("no turn is from 'gpt': nothing to train on")
        return cls(
            checked_text(str(value.get("id", number)), "id"),
            _paths(value, "image"),
            _paths(value, "depth"),
            tuple({"from": turn["from"], "value": turn["value"]} for turn in turns),
            None
            if value.get("image")
            else next((n for n in value if _OTHER.fullmatch(str(n))), None),
            tuple(sorted(str(name) for name in value if name not in _KNOWN)),
            None if value.get("strata") is None else Strata.from_json(value["strata"]),
            optional_text(value, "absence"),
            fraction(value, "mask_area_fraction"),
        )

    @property
    def answers(self) -> tuple[str, ...]:
        """The texts that are trained on."""
        return tuple(turn["value"] for turn in self.conversations if turn["from"] == "gpt")


_KNOWN = frozenset(f.name for f in fields(TaskRecord)) - {"prompt", "answer"} | {
    "conversations", "depth", "strata",
}  # fmt: skip
"""Fields of task files, and the depth maps of other builders."""
_OTHER = re.compile(r"(?!image_sizes).*(?:image|img|picture|photo|visual).*", re.IGNORECASE)
"""Names of fields that hold images in the formats of other trainers, or are misspelt."""


def _paths(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A path or a list of them as a tuple: a single string is one image."""
    found = value.get(name)
    if found is None:
        return ()
    entries = [found] if isinstance(found, str) else found
    if not isinstance(entries, list) or not all(isinstance(e, str) and e for e in entries):
        raise ValueError(f"field {name!r} must be a path or a list of paths")
    for entry in entries:
        checked_text(entry, name)
    return tuple(entries)


def read_samples(data_path: Path) -> list[Sample]:
    """The records of a task file, ours or another builder's.

    Raises:
        UserError: the file is missing, neither a JSON array nor JSON Lines, or a record is malformed.
    """
    check_exists(data_path, "data file")
    samples = []
    for number, value in enumerate(iter_values(data_path, what="data file"), start=1):
        try:
            samples.append(Sample.from_json(value, number))
        except ValueError as error:
            raise UserError(f"{data_path}: record {number}: {error}") from None
    return samples


class LazySupervisedSpatialDataset(Dataset[Item]):
    """Samples of one task file. The file is read immediately, its images when a sample is accessed.

    Args:
        data_path: the task file, or a set of a pack.
        processor: processor of the checkpoint, whose aspect mode determines the tiles of images.
        image_folder, image_root: see ``ImagePaths``.
        enable_depth: whether each image comes with a depth map: the record's ``depth``, else the map
            that ``depth_folder`` has for the image.
        depth_folder: a folder that mirrors the data root.
        name: name of the data set; default: the name of the file.

    Raises:
        UserError: the file cannot be used.
        AssertionError: the first sample's prompt does not begin with one ``<image>`` line per image.
    """

    def __init__(
        self,
        data_path: Path,
        processor: RoboReferProcessor,
        *,
        image_folder: Path = Path("/"),
        image_root: Path | None = None,
        enable_depth: bool = False,
        depth_folder: Path | None = None,
        name: str | None = None,
    ) -> None:
        self.data_path = data_path
        self.processor = processor
        self._files = ImagePaths(data_path, image_folder, image_root)
        self.enable_depth = enable_depth
        self.depth_folder = depth_folder
        self.name = name or data_path.name
        self.samples: Sequence[Sample] = read_samples(data_path)
        vocabulary = processor.tokenizer.get_vocab()
        self.media_ids: dict[str, int | None] = {
            tag: vocabulary.get(tag) for tag in (IMAGE_TAG, DEPTH_TAG)
        }
        self._sentinel = int(processor.tokenizer.convert_tokens_to_ids(SENTINEL))
        self._encoded: dict[tuple[int, ...], bytes] = {}
        first = next((sample for sample in self.samples if sample.images), None)
        if first is not None:
            self.check_prefix(first)

    def __len__(self) -> int:
        return len(self.samples)

    def keep(self, numbers: Sequence[int]) -> None:
        """Keep only these samples."""
        self.samples = [self.samples[number] for number in numbers]
        places = {number: place for place, number in enumerate(numbers)}
        self._encoded = {
            (places[number], *tiles): rows
            for (number, *tiles), rows in self._encoded.items()
            if number in places
        }

    def describe(self, sample: Sample) -> str:
        """How messages name a sample: its file and id."""
        return f"{self.data_path}: record {sample.id}"

    def check_prefix(self, sample: Sample) -> None:
        """Assert that the first turn begins with one media line per image.

        Otherwise a run would train, its loss would fall, and the model would look at the wrong image.
        """
        first = self.turns(sample)[0]["value"]
        wanted = media_prefix(len(sample.images), depth=self.enable_depth)
        assert first.startswith(wanted), (
            f"{self.describe(sample)}: the first turn must begin with {len(sample.images)} x"
            f" {IMAGE_TAG!r} and a newline, found {first[:80]!r}"
        )

    def turns(self, sample: Sample) -> list[dict[str, str]]:
        """The conversation with its media tags in place; unchanged without images."""
        turns = [dict(turn) for turn in sample.conversations]
        if not sample.images:
            return turns
        return preprocess_rgbd(turns, len(sample.images), depth=self.enable_depth)

    def image_paths(self, sample: Sample) -> list[Path]:
        """The sample's image files, in prompt order."""
        return [file_at(self._files.find(path)) for path in sample.images]

    def depth_paths(self, sample: Sample) -> list[Path]:
        """The sample's depth maps, one per image; empty without depth.

        Raises:
            UserError: there is no map for an image.
        """
        if not self.enable_depth or not sample.images:
            return []
        if sample.depths:
            if len(sample.depths) != len(sample.images):
                raise UserError(
                    f"{self.describe(sample)}: {len(sample.depths)} depth maps for"
                    f" {len(sample.images)} images; expected one each"
                )
            if self.depth_folder is not None:
                return [self.depth_folder / path for path in sample.depths]
            return [file_at(self._files.find(path)) for path in sample.depths]
        if self.depth_folder is None:
            raise UserError(
                f"{self.describe(sample)}: no field 'depth'; give --depth-path, or train without"
                " --enable-depth"
            )
        try:
            return [depth_path(path, self.depth_folder) for path in self.image_paths(sample)]
        except (OSError, ValueError) as error:
            raise UserError(f"{self.describe(sample)}: {error}") from None

    def encode(
        self, sample: Sample, image_tiles: Sequence[int], depth_tiles: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Ids and labels of a sample, one media id per image or tile.

        Args:
            sample: what to encode.
            image_tiles, depth_tiles: rows of each image; used in dynamic mode only.
        """
        messages: list[dict[str, Any]] = [*to_messages(self.turns(sample))]
        if self.processor.image_processor.image_aspect_ratio == "dynamic" and sample.images:
            content = expand_tiles(messages[0]["content"], IMAGE_TAG, image_tiles)
            if self.enable_depth:
                content = expand_tiles(content, DEPTH_TAG, depth_tiles)
            messages[0]["content"] = content
        ids = self.processor.tokenize(render_chat(messages))
        return ids, answer_labels(messages, ids, self.processor.tokenize, self._sentinel)

    def encoded(self, number: int, image_tiles: Sequence[int], depth_tiles: Sequence[int]) -> Int32:
        """Ids and labels ``[2, S]`` of a sample from ``encode``, computed once and cached.

        The check before a run fills the cache before the processes of the loader start. It needs 8 bytes per
        token, less than the text of the record.
        """
        key = (number, *image_tiles, *depth_tiles)
        found = self._encoded.get(key)
        if found is None:
            rows = self.encode(self.samples[number], image_tiles, depth_tiles)
            found = self._encoded[key] = np.array(rows, np.int32).tobytes()
        return np.frombuffer(found, np.int32).reshape(2, -1)

    def tiles(self, path: Path) -> int:
        """Rows that an image will take; only dynamic mode opens the file, for its size.

        Raises:
            OSError: it cannot be opened.
        """
        images = self.processor.image_processor
        if images.image_aspect_ratio != "dynamic":
            return 1
        with open_file(path) as file, Image.open(file) as image:
            columns, rows = tile_grid(
                *image.size,
                tile=images.size["height"],
                min_tiles=images.min_tiles,
                max_tiles=images.max_tiles,
            )
        return columns * rows + (columns * rows > 1)

    def crops(self, paths: Sequence[Path], *, depth: bool = False) -> list[list[Image.Image]]:
        """The 8-bit inputs of the tower for each file: a single image, or tiles.

        Raises:
            UserError: a file is missing or is not an image.
        """
        load = load_depth if depth else load_rgb
        found = []
        for path in paths:
            try:
                found.append(self.processor.image_processor.crops(load(path)))
            except FileNotFoundError:
                raise UserError(f"{path}: no such image; {self.data_path} names it") from None
            except ImageError as error:
                raise UserError(str(error)) from None
            except (OSError, UnidentifiedImageError, ValueError) as error:
                raise UserError(f"{path}: cannot be read as an image: {error}") from None
        return found

    def _pixels(self, crops: Sequence[Sequence[Image.Image]]) -> torch.Tensor | None:
        rows = [row for image in crops for row in image]
        return self.processor.image_processor.stack(rows) if rows else None

    def __getitem__(self, number: int) -> Item:
        sample = self.samples[number]
        images = self.crops(self.image_paths(sample))
        depths = self.crops(self.depth_paths(sample), depth=True)
        ids, labels = self.encoded(number, [len(p) for p in images], [len(p) for p in depths])
        return {
            "input_ids": torch.from_numpy(ids.astype(np.int64)),
            "labels": torch.from_numpy(labels.astype(np.int64)),
            "image": self._pixels(images),
            "depth": self._pixels(depths),
        }
