"""Validate every sample before training starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.models.roborefer.chat import DEPTH_TAG, IMAGE_TAG
from x3spatial.training.dataset import LazySupervisedSpatialDataset

LONG_SAMPLES = ("error", "drop")
TEXT_SAMPLES = ("error", "keep")


@dataclass(slots=True)
class Findings:
    """The result of checking one data set."""

    kept: list[int] = field(default_factory=list)
    """Indices of the samples that can be used."""
    lengths: list[int] = field(default_factory=list)
    """Tokens of each kept sample, media included."""
    dropped: int = 0
    """Number of samples left out because they are too long."""
    images: Counter[int] = field(default_factory=Counter)
    """Number of samples by number of images."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Number of samples by the name of a field that is not read."""

    def unread(self, path: Path) -> list[str]:
        """A line about the fields that are not read, if there are any: one may be misspelt."""
        if not self.unknown:
            return []
        names = (
            f"{name!r} ({count} record{'s' * (count > 1)})"
            for name, count in sorted(self.unknown.items())
        )
        return [f"{path}: fields that are not read: {', '.join(names)}"]


def check_samples(
    dataset: LazySupervisedSpatialDataset,
    model_max_length: int,
    *,
    long_samples: str = "error",
    text_samples: str = "error",
) -> Findings:
    """Check every sample's tags, files and length; images are not decoded.

    A sample longer than ``model_max_length`` would be truncated inside an image or lose its answer, so it
    is an error, or with ``long_samples="drop"`` left out and counted.
    A record without an image is an error too (its field may be misspelt), or with ``text_samples="keep"``
    trained on as text.

    Raises:
        UserError: for the first invalid sample, with the file, the record and the counts.
    """
    if long_samples not in LONG_SAMPLES:
        raise UserError(f"--long-samples {long_samples}: expected {' or '.join(LONG_SAMPLES)}")
    if text_samples not in TEXT_SAMPLES:
        raise UserError(f"--text-samples {text_samples}: expected {' or '.join(TEXT_SAMPLES)}")
    found = Findings()
    for number, sample in enumerate(dataset.samples):
        length = check_sample(dataset, number)
        found.unknown.update(sample.unknown)
        if not sample.images and text_samples == "error":
            found_field = f"; it has the field {sample.other!r}" if sample.other else ""
            raise UserError(
                f"{dataset.describe(sample)}: no image in its field 'image'{found_field}; rename the"
                " field, or train on text alone with --text-samples keep"
            )
        if length > model_max_length:
            if long_samples == "error":
                raise UserError(
                    f"{dataset.describe(sample)}: {length} tokens with its images, and"
                    f" --model-max-length is {model_max_length}; raise it, or leave such samples out"
                    " with --long-samples drop"
                )
            found.dropped += 1
            continue
        found.kept.append(number)
        found.lengths.append(length)
        found.images[len(sample.images)] += 1
    return found


def check_sample(dataset: LazySupervisedSpatialDataset, number: int) -> int:
    """Check one sample; returns its number of tokens, media included.

    Tags in the text of the record are replaced later, but if their number differs from that of the images,
    the record is inconsistent.

    Raises:
        UserError: tags and images do not match, a file is missing, or no token is trained on.
    """
    sample = dataset.samples[number]
    where = dataset.describe(sample)
    written = sum(turn["value"].count(IMAGE_TAG) for turn in sample.conversations)
    if written and written != len(sample.images):
        raise UserError(
            f"{where}: {written} {IMAGE_TAG} in its text, {len(sample.images)} in its field 'image'"
        )
    images, depths = dataset.image_paths(sample), dataset.depth_paths(sample)
    for path in (*images, *depths):
        if not path.is_file():
            raise UserError(
                f"{where}: {path}: no such image; is --image-folder right? If folders were moved, name the"
                " data root with --image-root"
            )
    try:
        image_tiles = [dataset.tiles(path) for path in images]
        depth_tiles = [dataset.tiles(path) for path in depths]
    except OSError as error:
        raise UserError(f"{where}: an image cannot be opened: {error}") from None
    rows = dataset.encoded(number, image_tiles, depth_tiles)
    ids, labels = rows[0].tolist(), rows[1]
    for tag, tiles in ((IMAGE_TAG, image_tiles), (DEPTH_TAG, depth_tiles)):
        media = dataset.media_ids[tag]
        tokens = 0 if media is None else ids.count(media)
        if tokens != sum(tiles):
            raise UserError(
                f"{where}: {tokens} {tag} tokens in the prepared text, {sum(tiles)} images or tiles"
            )
    if (labels < 0).all():
        raise UserError(f"{where}: no token would be trained on; is there an answer?")
    return len(dataset.processor.expand(ids)[0])
