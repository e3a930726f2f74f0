"""What can go wrong in step 900 is looked for before step 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.models.roborefer.chat import DEPTH_TAG, IMAGE_TAG
from x3spatial.training.dataset import LazySupervisedSpatialDataset

LONG_SAMPLES = ("error", "drop")


@dataclass(slots=True)
class Findings:
    """What the check of one data set found."""

    kept: list[int] = field(default_factory=list)
    """Numbers of the samples that can be trained on."""
    lengths: list[int] = field(default_factory=list)
    """Tokens of each kept sample, room for media included."""
    dropped: int = 0
    """Samples left out because they are too long."""
    images: Counter[int] = field(default_factory=Counter)
    """How many samples have how many images."""


def check_samples(
    dataset: LazySupervisedSpatialDataset, model_max_length: int, *, long_samples: str = "error"
) -> Findings:
    """Check every sample's tags, files and length; images are not decoded.

    A sample longer than ``model_max_length`` would be cut inside an image or lose its answer, so it is
    an error, or with ``long_samples="drop"`` left out and counted.

    Raises:
        UserError: the first sample that is wrong: the file, the record and the counts.
    """
    if long_samples not in LONG_SAMPLES:
        raise UserError(f"--long_samples {long_samples}: expected {' or '.join(LONG_SAMPLES)}")
    found = Findings()
    for number, sample in enumerate(dataset.samples):
        length = check_sample(dataset, number)
        if length > model_max_length:
            if long_samples == "error":
                raise UserError(
                    f"{dataset.describe(sample)}: {length} tokens with its images, and"
                    f" --model_max_length is {model_max_length}; raise it, or leave such samples out"
                    " with --long_samples drop"
                )
            found.dropped += 1
            continue
        found.kept.append(number)
        found.lengths.append(length)
        found.images[len(sample.images)] += 1
    return found


def check_sample(dataset: LazySupervisedSpatialDataset, number: int) -> int:
    """Check one sample; returns its tokens, room for media included.

    Tags that the record's own text holds are replaced when it is prepared, but where there are some and their
    number is not that of the images, the record's author meant something else.

    Raises:
        UserError: tags and images do not match, a file is missing, or nothing of it is learned.
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
            raise UserError(f"{where}: {path}: no such image; is --image_folder right?")
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
                f"{where}: {tokens} {tag} tokens in the prepared text, {sum(tiles)} pictures of it"
            )
    if (labels < 0).all():
        raise UserError(f"{where}: no token of it would be learned; is there an answer?")
    return len(dataset.processor.expand(ids)[0])


def shown_labels(dataset: LazySupervisedSpatialDataset, number: int) -> str:
    """What the model reads of a sample, with the learned parts between ``[[`` and ``]]``."""
    item = dataset[number]
    pieces: list[str] = []
    learned = False
    run: list[int] = []

    def flush() -> None:
        if run:
            text = dataset.processor.tokenizer.decode(run)
            pieces.append(f"[[{text}]]" if learned else text)
            run.clear()

    for token, label in zip(item["input_ids"].tolist(), item["labels"].tolist(), strict=True):
        if (label >= 0) != learned:
            flush()
            learned = label >= 0
        run.append(token)
    flush()
    return "".join(pieces)


def check_data(
    *,
    data_path: Path | None,
    model_name_or_path: Path | None = None,
    image_folder: Path = Path("/"),
    image_aspect_ratio: str = "resize",
    batch_size: int = 1,
    model_max_length: int = 8192,
    long_samples: str = "error",
    enable_depth: bool = False,
    depth_path: Path | None = None,
    show: int = 1,
    data_mixture: str = "",
    data_registry: Path | None = None,
    echo: Callable[[str], None] = print,
) -> dict[str, int]:
    """Check all samples and make one batch, without loading model weights.

    Args:
        data_path: a task file; None with ``data_mixture``.
        model_name_or_path: a checkpoint, or a folder with a Qwen2 tokenizer. None: the small built-in
            tokenizer, which counts more tokens than a real one.
        image_folder, image_aspect_ratio, model_max_length, long_samples, enable_depth, depth_path,
        data_mixture, data_registry: as in training.
        batch_size: samples of the batch.
        show: print so many samples as the model will read them, learned parts in double brackets.
        echo: prints a line.

    Returns:
        ``samples``, ``dropped`` and ``longest`` (tokens).

    Raises:
        UserError: something is wrong; see ``check_samples``.
    """
    from torch.utils.data import DataLoader

    from x3spatial.training.arguments import DataArguments
    from x3spatial.training.data_module import make_supervised_data_module
    from x3spatial.training.setup import processor_for

    for option, value, least in (("--batch_size", batch_size, 1), ("--show", show, 0)):
        if value < least:
            raise UserError(f"{option} {value}: must be at least {least}")
    processor = processor_for(model_name_or_path, image_aspect_ratio)
    choices = DataArguments(
        data_path=str(data_path or ""),
        data_mixture=data_mixture,
        data_registry=str(data_registry) if data_registry else None,
        image_folder=str(image_folder),
        depth_path=str(depth_path) if depth_path else None,
        long_samples=long_samples,
    )
    module = make_supervised_data_module(
        processor, choices, model_max_length=model_max_length, enable_depth=enable_depth
    )
    for part, found in zip(module.train_dataset.parts, module.findings, strict=True):
        images = ", ".join(f"{n} with {k} image(s)" for k, n in sorted(found.images.items()))
        echo(
            f"{part.name}: {len(part)} samples ({images}), {found.dropped} too long left out,"
            f" at most {max(found.lengths, default=0)} tokens"
        )
        for number in range(min(show, len(part))):
            echo(f"--- {part.describe(part.samples[number])}: [[learned]]")
            echo(shown_labels(part, number))
    loader = DataLoader(
        module.train_dataset, batch_size=batch_size, collate_fn=lambda items: items, num_workers=0
    )
    items = next(iter(loader))
    plain = module.data_collator.plain(items)
    batch = module.data_collator(items)
    echo(
        f"input_ids: {tuple(plain['input_ids'].shape)}, {tuple(batch['input_ids'].shape)} with media"
    )
    for kind, pictures in plain["media"].items():
        if pictures or kind == "image":
            echo(f"media['{kind}']: len = {len(pictures)}")
        if pictures:
            echo(f"first {kind} shape: {pictures[0].shape}")
    echo("OK: one-batch dataloader check passed")
    lengths = module.train_dataset.lengths
    dropped = sum(found.dropped for found in module.findings)
    return {"samples": len(module.train_dataset), "dropped": dropped, "longest": max(lengths)}
