"""``x3 check-data``: validate all samples and make one batch, without loading model weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch.utils.data import DataLoader

from x3spatial.errors import UserError
from x3spatial.texts import print_line
from x3spatial.training.data_arguments import CheckArguments
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
    options: CheckArguments, *, echo: Callable[[str], None] = print_line
) -> dict[str, int]:
    """Check all samples and make one batch, without loading model weights.

    Args:
        options: as in training. Without ``model_name_or_path`` the small built-in tokenizer is used, which
            counts more tokens than a real one.
        echo: prints a line.

    Returns:
        ``samples``, ``dropped`` and ``longest`` (tokens).

    Raises:
        UserError: an option or a sample is wrong; see ``checks.check_samples``.
    """
    for option, value, least in (
        ("--batch-size", options.batch_size, 1),
        ("--show", options.show, 0),
        ("--model-max-length", options.model_max_length, 1),
    ):
        if value < least:
            raise UserError(f"{option} {value}: must be at least {least}")
    options.check()
    model = options.model_name_or_path
    processor = processor_for(None if model is None else Path(model), options.image_aspect_ratio)
    module = make_supervised_data_module(
        processor,
        options,
        model_max_length=options.model_max_length,
        enable_depth=options.enable_depth,
    )
    for line in module.selected():
        echo(line)
    for part, found in zip(module.train_dataset.parts, module.findings, strict=True):
        images = ", ".join(f"{n} with {k} image(s)" for k, n in sorted(found.images.items()))
        echo(
            f"{part.name}: {len(part)} samples ({images}), {found.dropped} too long left out,"
            f" at most {max(found.lengths, default=0)} tokens"
        )
        for line in found.unread(part.data_path):
            echo(line)
        for number in range(min(options.show, len(part))):
            echo(f"--- {part.describe(part.samples[number])}: [[learned]]")
            echo(render_labels(part, number))
    loader = DataLoader(
        module.train_dataset,
        batch_size=options.batch_size,
        collate_fn=lambda items: items,
        num_workers=0,
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
