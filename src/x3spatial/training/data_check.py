"""``x3 check-data``: validate all samples and make one batch, without loading model weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch.utils.data import DataLoader

from x3spatial.errors import UserError
from x3spatial.texts import print_line
from x3spatial.training.arguments import DataArguments
from x3spatial.training.data_module import make_supervised_data_module
from x3spatial.training.dataset import LazySupervisedSpatialDataset
from x3spatial.training.setup import processor_for


def render_labels(dataset: LazySupervisedSpatialDataset, number: int) -> str:
    """The text of a sample as the model reads it, with the trained parts between ``[[`` and ``]]``."""
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
    image_root: Path | None = None,
    image_aspect_ratio: str = "resize",
    batch_size: int = 1,
    model_max_length: int = 8192,
    long_samples: str = "error",
    text_samples: str = "error",
    enable_depth: bool = False,
    depth_path: Path | None = None,
    show: int = 1,
    data_mixture: str = "",
    data_registry: Path | None = None,
    echo: Callable[[str], None] = print_line,
) -> dict[str, int]:
    """Check all samples and make one batch, without loading model weights.

    Args:
        data_path: a task file; None with ``data_mixture``.
        model_name_or_path: a checkpoint, or a folder with a Qwen2 tokenizer. None: the small built-in
            tokenizer, which counts more tokens than a real one.
        image_folder, image_root, image_aspect_ratio, model_max_length, long_samples, text_samples,
        enable_depth, depth_path, data_mixture, data_registry: as in training.
        batch_size: samples in the batch.
        show: number of samples to print as the model reads them, trained parts in double brackets.
        echo: prints a line.

    Returns:
        ``samples``, ``dropped`` and ``longest`` (tokens).

    Raises:
        UserError: an option or a sample is wrong; see ``checks.check_samples``.
    """
    for option, value, least in (("--batch-size", batch_size, 1), ("--show", show, 0)):
        if value < least:
            raise UserError(f"{option} {value}: must be at least {least}")
    processor = processor_for(model_name_or_path, image_aspect_ratio)
    choices = DataArguments(
        data_path=str(data_path or ""),
        data_mixture=data_mixture,
        data_registry=str(data_registry) if data_registry else None,
        image_folder=str(image_folder),
        image_root=str(image_root) if image_root else None,
        depth_path=str(depth_path) if depth_path else None,
        long_samples=long_samples,
        text_samples=text_samples,
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
            echo(render_labels(part, number))
    loader = DataLoader(
        module.train_dataset, batch_size=batch_size, collate_fn=lambda items: items, num_workers=0
    )
    items = next(iter(loader))
    plain = module.data_collator.plain(items)
    batch = module.data_collator(items)
    echo(
        f"input_ids: {tuple(plain['input_ids'].shape)}, {tuple(batch['input_ids'].shape)} with media"
    )
    for kind, images_of_kind in plain["media"].items():
        if images_of_kind or kind == "image":
            echo(f"media['{kind}']: len = {len(images_of_kind)}")
        if images_of_kind:
            echo(f"first {kind} shape: {images_of_kind[0].shape}")
    echo("OK: one-batch dataloader check passed")
    lengths = module.train_dataset.lengths
    dropped = sum(found.dropped for found in module.findings)
    return {"samples": len(module.train_dataset), "dropped": dropped, "longest": max(lengths)}
