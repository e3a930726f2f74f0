"""The processor: conversion of chat text and images to model inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import default_collate
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import ProcessorMixin

from x3spatial.errors import UserError
from x3spatial.models.local.image_loading import check_pixel_rule, load_rgb
from x3spatial.models.local.weights import read_object
from x3spatial.models.roborefer.chat import (
    CHAT_TEMPLATE,
    DEPTH_TAG,
    IMAGE_TAG,
    expand_tiles,
)
from x3spatial.models.roborefer.checkpoint import Checkpoint, read_checkpoint
from x3spatial.models.roborefer.images import (
    RoboReferImageProcessor,
    flatten,
    load_depth,
)
from x3spatial.models.roborefer.tokens import load_tokenizer

IGNORE_INDEX = -100


class RoboReferProcessor(ProcessorMixin):
    """Converts images, depth maps and chat text to model inputs.

    The text contains one ``<image>`` per image (and one ``<depth>`` per depth map), in order. Each is
    expanded to as many placeholder ids as the model has feature rows for it, and the end tokens (a newline).
    Ids are expanded instead of the text, because a newline in the text must not be merged with the end token.

    Args:
        image_processor: converts images to pixels.
        tokenizer: the tokenizer of the language model.
        tokens_per_image, tokens_per_depth: number of placeholder ids per image or tile.
        start_tokens, end_tokens: text around the placeholders of an image; None for none.
    """

    def __init__(
        self,
        image_processor: RoboReferImageProcessor | None = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        tokens_per_image: int = 121,
        tokens_per_depth: int | None = None,
        start_tokens: str | None = None,
        end_tokens: str | None = "\n",
    ) -> None:
        # No keyword-only arguments: transformers passes them by position when it loads a processor.
        super().__init__(  # type: ignore[no-untyped-call]
            image_processor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE
        )
        self.tokens_per_image = tokens_per_image
        self.tokens_per_depth = tokens_per_depth or tokens_per_image
        self.start_tokens = start_tokens
        self.end_tokens = end_tokens
        vocabulary = tokenizer.get_vocab()
        self._image_id: int = vocabulary[IMAGE_TAG]
        self._depth_id: int | None = vocabulary.get(DEPTH_TAG)
        self._start_ids = self._ids(start_tokens)
        self._end_ids = self._ids(end_tokens)

    def _ids(self, text: str | None) -> list[int]:
        ids: list[int] = []
        if text is not None:
            ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return ids

    def tokenize(self, text: str) -> list[int]:
        """Ids of one chat text; special tokens are recognised but not added."""
        return self._ids(text)

    def expand(
        self, ids: Sequence[int], labels: Sequence[int] | None = None
    ) -> tuple[list[int], list[int] | None]:
        """Expand the media ids: every ``<image>`` id becomes the placeholders of one image or tile.

        Args:
            ids: ids of one sample, with one media id per image or tile.
            labels: labels of the same length; media positions are labelled -100.
        """
        widths = {self._image_id: self.tokens_per_image}
        if self._depth_id is not None:
            widths[self._depth_id] = self.tokens_per_depth
        out: list[int] = []
        out_labels: list[int] = []
        for position, token in enumerate(ids):
            width = widths.get(token)
            if width is None:
                out.append(token)
                out_labels.append(IGNORE_INDEX if labels is None else labels[position])
                continue
            placeholders = [*self._start_ids, *[token] * width, *self._end_ids]
            out.extend(placeholders)
            out_labels.extend([IGNORE_INDEX] * len(placeholders))
        return out, None if labels is None else out_labels

    def encode(
        self,
        text: str,
        *,
        images: int | Sequence[int],
        depths: int | Sequence[int] | None = None,
        name: str = "the text",
    ) -> list[int]:
        """Ids of one sample's chat text with the placeholders of its media.

        Args:
            text: chat text with one ``<image>`` per image.
            images: number of images, or of tiles per image (dynamic mode).
            depths: the same for depth maps.
            name: name of the sample in errors.

        Raises:
            ValueError: the numbers of media tokens and media differ.
        """
        wanted = [(IMAGE_TAG, self._image_id, images)]
        if depths is not None:
            if self._depth_id is None:
                raise ValueError(f"{name}: depth maps, but the tokenizer has no {DEPTH_TAG}")
            wanted.append((DEPTH_TAG, self._depth_id, depths))
        for token, _, counts in wanted:
            if not isinstance(counts, int):
                try:
                    text = expand_tiles(text, token, counts)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        ids = self.tokenize(text)
        expected = {
            media: counts if isinstance(counts, int) else sum(counts) for _, media, counts in wanted
        }
        for label, media in ((IMAGE_TAG, self._image_id), (DEPTH_TAG, self._depth_id)):
            if media is not None and ids.count(media) != expected.get(media, 0):
                raise ValueError(
                    f"{name}: {ids.count(media)} {label} in the text"
                    f" for {expected.get(media, 0)} of its media"
                )
        return self.expand(ids)[0]

    def pad(self, rows: Sequence[Sequence[int]], side: str = "left") -> dict[str, torch.Tensor]:
        """``input_ids`` and ``attention_mask`` ``[B, S]`` of samples of different lengths.

        ``side`` is ``left`` for generation and ``right`` for training.
        """
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), int(self.tokenizer.pad_token_id), dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for number, row in enumerate(rows):
            place = slice(width - len(row), width) if side == "left" else slice(0, len(row))
            ids[number, place] = torch.tensor(list(row), dtype=torch.long)
            mask[number, place] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        depths: Any = None,
        *,
        padding_side: str = "left",
        **kwargs: Any,
    ) -> BatchFeature:
        """Model inputs for one text or a batch.

        Args:
            images: for one text an image, path or list of them; for several texts one such entry per text, or
                a flat list in the order of the tags.
            text: chat text with one ``<image>`` per image.
            depths: depth maps, nested like ``images``.
            padding_side: ``left`` or ``right``.
            kwargs: ignored; part of the interface of transformers.

        Returns:
            ``input_ids``, ``attention_mask`` ``[B, S]``; with images ``pixel_values`` ``[N, 3, H, W]`` and
            ``image_indices`` ``[B, M]`` (-1: none); the same as ``depth_*``.

        Raises:
            ValueError: there is no text, or the numbers of tags and media of a text differ.
        """
        texts = [text] if isinstance(text, str) else list(text or [])
        if not texts:
            raise ValueError("text is missing")
        image_rows = self._by_text(images, texts, IMAGE_TAG)
        depth_rows = None if depths is None else self._by_text(depths, texts, DEPTH_TAG)
        image_media = Media()
        depth_media = Media()
        ids = []
        for number, sample in enumerate(texts):
            counts = [
                image_media.add(self.image_processor.pixels(load_rgb(image)), number)
                for image in image_rows[number]
            ]
            depth_counts = None
            if depth_rows is not None:
                depth_counts = [
                    depth_media.add(self.image_processor.pixels(load_depth(depth)), number)
                    for depth in depth_rows[number]
                ]
            ids.append(
                self.encode(
                    sample,
                    images=self.tiles(counts),
                    depths=None if depth_counts is None else self.tiles(depth_counts),
                    name=f"text {number}",
                )
            )
        inputs: dict[str, torch.Tensor] = self.pad(ids, padding_side)
        inputs |= image_media.inputs("pixel_values", "image_indices", len(texts))
        inputs |= depth_media.inputs("depth_values", "depth_indices", len(texts))
        return BatchFeature(inputs)

    def tiles(self, counts: Sequence[int]) -> int | list[int]:
        """Number of images, or in dynamic mode the tiles of each, as arguments of ``encode``."""
        dynamic = self.image_processor.image_aspect_ratio == "dynamic"
        return list(counts) if dynamic else len(counts)

    def _by_text(self, media: Any, texts: Sequence[str], token: str) -> list[list[Any]]:
        if media is None:
            return [[] for _ in texts]
        if len(texts) == 1:
            return [flatten(media)]
        entries = list(media)
        if len(entries) == len(texts) and any(
            isinstance(entry, (list, tuple)) for entry in entries
        ):
            return [flatten(entry) for entry in entries]
        counts = [sample.count(token) for sample in texts]
        if sum(counts) != len(entries):
            raise ValueError(
                f"{len(entries)} media for {sum(counts)} {token} in {len(texts)} texts"
            )
        flat = iter(entries)
        return [[next(flat) for _ in range(count)] for count in counts]

    @property
    def model_input_names(self) -> list[str]:
        """Names of everything ``__call__`` may return."""
        return [
            "input_ids", "attention_mask", "pixel_values", "image_indices",
            "depth_values", "depth_indices",
        ]  # fmt: skip


class Media:
    """The images of a batch without duplicates, and the indices of each sample's images."""

    def __init__(self) -> None:
        self.images: list[torch.Tensor] = []
        self._by_sample: dict[int, list[int]] = {}
        self._known: dict[Any, list[int]] = {}
        self._rows = 0

    def add(self, pixels: torch.Tensor, sample: int, key: Any = None) -> int:
        """Add ``pixels [tiles, 3, H, W]`` to ``sample``; rows of a known ``key`` are reused.

        Returns:
            The number of its rows.
        """
        rows = None if key is None else self._known.get(key)
        if rows is None:
            rows = list(range(self._rows, self._rows + len(pixels)))
            self._rows += len(pixels)
            self.images.append(pixels)
            if key is not None:
                self._known[key] = rows
        self._by_sample.setdefault(sample, []).extend(rows)
        return len(rows)

    def inputs(self, values: str, indices: str, samples: int) -> dict[str, torch.Tensor]:
        """The model's arguments under these names; empty without images."""
        if not self.images:
            return {}
        width = max(len(rows) for rows in self._by_sample.values())
        table = torch.full((samples, width), -1, dtype=torch.long)
        for sample, rows in self._by_sample.items():
            table[sample, : len(rows)] = torch.tensor(rows)
        # In a worker of a data loader this writes straight into the memory shared with the main process.
        rows = default_collate([row for pixels in self.images for row in pixels])
        return {values: rows, indices: table}


def load_processor(
    path: Path | Checkpoint, *, image_aspect_ratio: str | None = None
) -> RoboReferProcessor:
    """The processor of a checkpoint of either layout.

    Args:
        path: the checkpoint.
        image_aspect_ratio: ``resize``, ``pad`` or ``dynamic``; None: that of the checkpoint.

    Raises:
        UserError: a file or token is missing, the mode is not supported, the image sizes of processor and
            tower differ, or images are normalised by zero or by numbers that are not finite.
    """
    checkpoint = path if isinstance(path, Checkpoint) else read_checkpoint(path)
    config = checkpoint.config
    side = config.vision_config.image_size
    settings: dict[str, Any] = {}
    root = checkpoint.layout.root
    if checkpoint.layout.kind == "upstream":
        file = root / "vision_tower" / "preprocessor_config.json"
        stored = read_object(file, finite=True) if file.is_file() else {}
    else:
        file = root / "processor_config.json"
        whole = read_object(file, finite=True) if file.is_file() else {}
        stored = whole.get("image_processor") or {}
    check_pixel_rule(stored, file)
    size = stored.get("size") or {"height": side, "width": side}
    if not isinstance(size, dict):
        raise UserError(f"{file}: size is {size!r}; expected height and width")
    if size.get("height") != side or size.get("width") != side:
        raise UserError(f"{file}: size is {size}; expected {side} x {side}, the tower's image_size")
    for name in ("image_mean", "image_std"):
        if stored.get(name) is not None:
            settings[name] = stored[name]
    return RoboReferProcessor(
        RoboReferImageProcessor(
            size={"height": int(side), "width": int(side)},
            image_aspect_ratio=image_aspect_ratio or config.image_aspect_ratio,
            min_tiles=config.min_tiles,
            max_tiles=config.max_tiles,
            **settings,
        ),
        load_tokenizer(checkpoint.tokenizer_folder, config),
        tokens_per_image=config.tokens_per_image,
        tokens_per_depth=config.tokens_per_depth,
        start_tokens=checkpoint.start_tokens,
        end_tokens=checkpoint.end_tokens,
    )
