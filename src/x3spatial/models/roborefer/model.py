"""The model ``roborefer:PATH``: a checkpoint that answers batches of questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
import transformers

from x3spatial.errors import UserError
from x3spatial.models import choices
from x3spatial.models.base import AT_END_TOKEN, AT_TOKEN_LIMIT, Output
from x3spatial.models.local.image_loading import load_rgb
from x3spatial.models.local.model import LocalModel, PreparedBatch
from x3spatial.models.local.runtime import DTYPES, check_numerics, choose_device, unused_rules
from x3spatial.models.roborefer.chat import question_text
from x3spatial.models.roborefer.checkpoint import load_model, read_checkpoint
from x3spatial.models.roborefer.depth import check_depth, depth_path, has_depth_maps
from x3spatial.models.roborefer.images import check_aspect_mode, load_depth
from x3spatial.models.roborefer.layout import fingerprint
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration
from x3spatial.models.roborefer.processing import Media, load_processor
from x3spatial.models.roborefer.tokens import greedy
from x3spatial.tasks.question import Question

CHAT_TEMPLATES = choices.CHAT_TEMPLATES


@dataclass(slots=True)
class Prepared(PreparedBatch):
    """A prepared batch: the pixels of each image and the ids of each question."""

    pixels: dict[Path, torch.Tensor] = field(default_factory=dict)
    ids: dict[str, list[int]] = field(default_factory=dict)
    images: dict[str, list[Path]] = field(default_factory=dict)
    depths: dict[str, list[Path]] = field(default_factory=dict)


class RoboReferModel(LocalModel[Prepared]):
    """RoboRefer from a folder in the published layout or in our own.

    The folder is checked immediately; the weights are loaded by the first ``prepare``. ``describe`` lists the
    decoding rules in the checkpoint's ``generation_config.json`` that are not used.

    Args:
        path: the checkpoint.
        dtype: ``auto`` (as stored), ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto`` (the first GPU, else the CPU) or a torch device.
        attention: ``sdpa``, ``eager`` or ``flash_attention_2``.
        depth: folder with depth maps that mirrors the data root, see ``depth.depth_path``.
        image_aspect_ratio: ``resize``, ``pad`` or ``dynamic``.
        chat_template: ``qwen2``.
        max_new_tokens: maximum number of tokens of an answer.

    Raises:
        UserError: the folder is not a complete checkpoint, or an option is not supported.
    """

    name = "roborefer"
    convention = "unit"
    options = frozenset(
        {"dtype", "device", "attention", "depth", "image_aspect_ratio", "chat_template"}
    )

    def __init__(
        self,
        path: Path,
        *,
        dtype: str = "auto",
        device: str = "auto",
        attention: str = "sdpa",
        depth: Path | None = None,
        image_aspect_ratio: str = "resize",
        chat_template: str = "qwen2",
        max_new_tokens: int = 64,
    ) -> None:
        if chat_template not in CHAT_TEMPLATES:
            raise UserError(
                f"--chat-template {chat_template}: not supported; RoboRefer was trained with qwen2"
            )
        check_numerics(dtype=dtype, attention=attention, max_new_tokens=max_new_tokens)
        check_aspect_mode(image_aspect_ratio)
        if depth is not None and not depth.is_dir():
            raise UserError(f"--depth {depth}: no such folder")
        self.checkpoint = read_checkpoint(path)
        if depth is not None and not self.checkpoint.config.enable_depth:
            raise UserError(f"--depth: {path} has no depth projector (enable_depth is false)")
        self.name = path.resolve().name
        self.depth = depth
        self.processor = load_processor(self.checkpoint, image_aspect_ratio=image_aspect_ratio)
        super().__init__(choose_device(device), greedy(self.processor.tokenizer, max_new_tokens))
        self._dtype = dtype
        self._attention = attention
        self._chat_template = chat_template

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """``roborefer:PATH`` with the options of ``__init__``.

        Raises:
            UserError: there is no path, the folder is not a complete checkpoint, or an option is not
                supported.
        """
        if not argument:
            raise UserError("--model roborefer: name the checkpoint folder, roborefer:PATH")
        given = cls.own_options(options)
        if "depth" in given:
            given["depth"] = Path(given["depth"])
        return cls(Path(argument), **given)

    def reads(self, question: Question) -> tuple[Path, ...]:
        """The images and, if used, their depth maps."""
        if self.depth is None:
            return question.images
        return (*question.images, *(depth_path(image, self.depth) for image in question.images))

    def can_answer(self, task: str) -> bool:
        """Whether the task is supported: with depth maps, tasks with side-by-side images are not."""
        return self.depth is None or has_depth_maps(task)

    def load(self) -> RoboReferForConditionalGeneration:
        """The model.

        Raises:
            UserError: the weights cannot be read, or the attention kernel is not available.
        """
        return load_model(
            self.checkpoint,
            dtype=self._dtype,
            device=str(self.device),
            attention=self._attention,
        )

    def prepare(self, questions: Sequence[Question]) -> Prepared:
        """Decode each image of the batch once and build the ids of the questions.

        A sample that cannot be prepared is recorded in ``failures``, for which ``answer`` raises.

        Raises:
            UserError: the weights cannot be read, or depth maps are requested for a side-by-side image.
        """
        prepared = Prepared()
        _ = self.model
        for question in questions:
            if self.depth is not None:
                check_depth(question)
            try:
                self._prepare(question, prepared)
            except (OSError, ValueError) as error:
                prepared.failures[question.id] = error
        return prepared

    def _prepare(self, question: Question, prepared: Prepared) -> None:
        def pixels(path: Path, load: Callable[[Path], Any]) -> torch.Tensor:
            if path not in prepared.pixels:
                prepared.pixels[path] = self.processor.image_processor.pixels(load(path))
            return prepared.pixels[path]

        images = list(question.images)
        depths = [] if self.depth is None else [depth_path(image, self.depth) for image in images]
        image_tiles = [len(pixels(path, load_rgb)) for path in images]
        depth_tiles = [len(pixels(path, load_depth)) for path in depths]
        text = question_text(question.prompt, len(images), depth=bool(depths))
        ids = self.processor.encode(
            text,
            images=self.processor.tiles(image_tiles),
            depths=self.processor.tiles(depth_tiles) if depths else None,
            name=question.id,
        )
        context = self.checkpoint.config.text_config.max_position_embeddings
        longest = len(ids) + int(self.decoding.max_new_tokens or 0)
        if longest > context:
            raise ValueError(
                f"{question.id}: {longest} tokens with the answer, the model has {context}"
            )
        prepared.ids[question.id] = ids
        prepared.images[question.id] = images
        prepared.depths[question.id] = depths

    @torch.inference_mode()
    def generate(self, questions: Sequence[Question], prepared: Prepared) -> list[Output]:
        """See ``LocalModel.generate``."""
        images, depths = Media(), Media()
        for number, question in enumerate(questions):
            for path in prepared.images[question.id]:
                images.add(prepared.pixels[path], number, key=path)
            for path in prepared.depths[question.id]:
                depths.add(prepared.pixels[path], number, key=path)
        inputs = self.processor.pad([prepared.ids[question.id] for question in questions])
        inputs |= images.inputs("pixel_values", "image_indices", len(questions))
        inputs |= depths.inputs("depth_values", "depth_indices", len(questions))
        on_device = {
            name: value.to(self.device, self.model.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }
        output = self.model.generate(**on_device, generation_config=self.decoding)
        new = output[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.tokenizer.batch_decode(new, skip_special_tokens=True)
        ends = torch.tensor(self.decoding.eos_token_id, device=new.device)
        ended = torch.isin(new, ends).any(dim=1).tolist()
        return [
            Output(text.strip(), details={"finish": AT_END_TOKEN if end else AT_TOKEN_LIMIT})
            for text, end in zip(texts, ended, strict=True)
        ]

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.checkpoint.layout)

    def describe(self) -> dict[str, Any]:
        """Checkpoint, numerics and decoding of this run, and the stored rules that were not used."""
        stored = self.checkpoint.generation
        dtype = self.checkpoint.dtype if self._dtype == "auto" else DTYPES[self._dtype]
        used = self.rules()
        return {
            "model": str(self.checkpoint.layout.path),
            "layout": self.checkpoint.layout.kind,
            "fingerprint": self._fingerprint,
            "dtype": str(dtype).removeprefix("torch."),
            "device": self.device.type,
            "attention": self._attention,
            "chat_template": self._chat_template,
            "image_aspect_ratio": self.processor.image_processor.image_aspect_ratio,
            "depth": None if self.depth is None else str(self.depth),
            "decoding": used,
            "generation_config_not_used": unused_rules(stored, used),
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        }
