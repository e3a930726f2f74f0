"""The model ``hf:FOLDER`` or ``hf:ORG/NAME``: any image-text-to-text model of transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import PIL
import torch
import transformers
from PIL import Image
from transformers.generation.configuration_utils import GenerationConfig

from x3spatial.conventions.base import Convention, message_form
from x3spatial.conventions.registry import choose_convention
from x3spatial.errors import UserError
from x3spatial.models.base import AT_END_TOKEN, AT_TOKEN_LIMIT, Output
from x3spatial.models.huggingface.folder import Folder, find_folder
from x3spatial.models.huggingface.loading import (
    SPREAD,
    check_adapter,
    describe_adapter,
    load_model,
)
from x3spatial.models.huggingface.pointing import (
    ARGUMENTS,
    Pointing,
    check_pointing,
    generation_arguments,
    points_by_tokens,
)
from x3spatial.models.huggingface.processor import Messages, Processor, messages
from x3spatial.models.local.image_loading import load_rgb
from x3spatial.models.local.model import LocalModel, PreparedBatch, greedy_rules
from x3spatial.models.local.runtime import DTYPES, check_numerics, choose_device, unused_rules
from x3spatial.tasks.question import Question, Size

# Fields of a generation config that affect additional outputs or speed, not the text.
_NOT_TEXT = frozenset(
    {"output_attentions", "output_hidden_states", "return_dict_in_generate", "use_cache"}
)


@dataclass(slots=True)
class Prepared(PreparedBatch):
    """A prepared batch: its conversations and the inputs of ``generate``."""

    conversations: dict[str, Messages] = field(default_factory=dict)
    """Question id → conversation with decoded images."""
    sent: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    """Question id → (W, H) of each image before the processor."""
    inputs: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    """Ids of a batch → inputs of ``generate``."""
    pointing: dict[tuple[str, ...], Pointing] = field(default_factory=dict)
    """Ids of a batch → what its points are decoded with, for models that point with tokens."""


class HuggingFaceModel(LocalModel[Prepared]):
    """A model with its own processor and chat template.

    The folder is checked immediately; the weights are loaded by the first ``prepare``. Each question is one
    user turn: the images in the order of the record, each after its name if the convention names them, then
    the text of the convention. Only the end tokens of ``generation_config.json`` are used; ``describe`` lists
    the rules that are not.

    Args:
        model: a folder, or a name on the hub.
        convention: the point format; None: the one that its ``model_type`` was trained with.
        dtype: ``auto`` (as stored), ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto`` (the first GPU, else the CPU), a torch device, or ``spread`` (layers on all GPUs,
            then on the CPU, by accelerate).
        attention: ``sdpa``, ``eager`` or ``flash_attention_2``.
        min_pixels, max_pixels: see ``Processor``.
        adapter: folder of a LoRA adapter of PEFT.
        trust_remote_code: whether code in the folder may be run.
        max_new_tokens: maximum number of tokens of an answer.

    Raises:
        UserError: the folder is not a complete model, or an option is not supported.
    """

    name = "hf"
    options = frozenset(
        {
            "adapter", "attention", "convention", "device", "dtype", "max_pixels", "min_pixels",
            "trust_remote_code",
        }
    )  # fmt: skip

    def __init__(
        self,
        model: str | Path,
        *,
        convention: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        attention: str = "sdpa",
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        adapter: Path | None = None,
        trust_remote_code: bool = False,
        max_new_tokens: int = 64,
    ) -> None:
        check_numerics(dtype=dtype, attention=attention, max_new_tokens=max_new_tokens)
        self.folder = find_folder(str(model), trust_remote_code=trust_remote_code)
        self._convention = choose_convention(
            convention, self.folder.model_type, model=f"hf:{self.folder.given}"
        )
        self.convention = self._convention.name
        self.adapter = adapter
        if adapter is not None:
            check_adapter(adapter)
        self.name = "+".join(
            [self.folder.name, *([] if adapter is None else [adapter.resolve().name])]
        )
        self.processor = Processor(
            self.folder,
            trust_remote_code=trust_remote_code,
            min_pixels=min_pixels,
            max_pixels=max_pixels,
        )
        check_readable(self._convention, self.processor, self.folder)
        self._points_by_tokens = points_by_tokens(self.folder, self.convention)
        super().__init__(
            choose_device("auto" if device == SPREAD else device),
            greedy(self.folder, self.processor.tokenizer, max_new_tokens),
        )
        if self._points_by_tokens:
            self._limit = 1
        self._dtype = self.folder.dtype() if dtype == "auto" else DTYPES[dtype]
        self._spread = device == SPREAD
        self._attention = attention
        self._trust = trust_remote_code

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """``hf:MODEL`` with the options of ``__init__``.

        Raises:
            UserError: there is no model, the folder is not a complete model, or an option is not supported.
        """
        if not argument:
            raise UserError("--model hf: name the model, hf:FOLDER or hf:ORG/NAME")
        given = cls.own_options(options)
        if "adapter" in given:
            given["adapter"] = Path(given["adapter"])
        return cls(argument, **given)

    def load(self) -> Any:
        """The model with its adapter.

        Raises:
            UserError: the weights or the adapter cannot be used, or the attention kernel is not available.
        """
        model = load_model(
            self.folder,
            dtype=self._dtype,
            device=SPREAD if self._spread else str(self.device),
            attention=self._attention,
            trust_remote_code=self._trust,
            adapter=self.adapter,
        )
        if self._points_by_tokens:
            check_pointing(model, self.folder)
        return model

    def prepare(self, questions: Sequence[Question]) -> Prepared:
        """Decode each image of the batch once and process the batch.

        A sample that cannot be prepared is recorded in ``failures``, for which ``answer`` raises.

        Raises:
            UserError: the weights or the adapter cannot be used.
            ValueError: the processor cannot process the batch.
        """
        prepared = Prepared()
        _ = self.model
        decoded: dict[Path, Image.Image] = {}
        for question in questions:
            try:
                for path in question.images:
                    if path not in decoded:
                        decoded[path] = load_rgb(path)
                images = [decoded[path] for path in question.images]
                sizes = tuple(image.size for image in images)
                text = self._convention.prompt(question, self._counted(sizes))
                names = self._convention.picture_names(len(images))
                prepared.conversations[question.id] = messages(images, text, names)
                prepared.sent[question.id] = sizes
            except (OSError, ValueError) as error:
                prepared.failures[question.id] = error
        if not prepared.failures:
            step = self._limit or max(len(questions), 1)
            for start in range(0, len(questions), step):
                self._process(questions[start : start + step], prepared)
        return prepared

    def _process(self, questions: Sequence[Question], prepared: Prepared) -> dict[str, Any]:
        key = tuple(question.id for question in questions)
        if key not in prepared.inputs:
            more = ARGUMENTS if self._points_by_tokens else {}
            inputs = self.processor([prepared.conversations[id] for id in key], **more)
            if self._points_by_tokens:
                prepared.pointing[key] = Pointing.taken_from(inputs)
            longest = inputs["input_ids"].shape[1] + int(self.decoding.max_new_tokens or 0)
            context = self._context
            if context is not None and longest > context:
                raise ValueError(
                    f"{', '.join(key)}: {longest} tokens with the answer, the model has {context};"
                    " a smaller --max-pixels shortens the prompt"
                )
            prepared.inputs[key] = inputs
        return prepared.inputs[key]

    @property
    def _context(self) -> int | None:
        text = self.folder.config.get("text_config")
        for config in (text if isinstance(text, Mapping) else {}, self.folder.config):
            value = config.get("max_position_embeddings")
            if isinstance(value, int):
                return value
        return None

    def _counted(self, sent: tuple[Size, ...]) -> tuple[Size, ...]:
        """The sizes in the pixels of the convention; empty if it does not use pixels.

        Raises:
            ValueError: the processor does not map an image of that size to a single one.
        """
        if self._convention.pixels is None:
            return ()
        if self._convention.pixels == "sent":
            return sent
        sizes = [self.processor.resized(size) for size in sent]
        known = tuple(size for size in sizes if size is not None)
        if len(known) < len(sizes):
            raise ValueError(f"the processor cannot resize images of {list(sent)}")
        return known

    @torch.inference_mode()
    def generate(self, questions: Sequence[Question], prepared: Prepared) -> list[Output]:
        """See ``LocalModel.generate``.

        Raises:
            ValueError: the processor cannot process the batch.
        """
        model = self.model
        inputs = self._process(questions, prepared)
        on_device = {
            name: value.to(model.device, model.dtype if value.is_floating_point() else None)
            if isinstance(value, torch.Tensor)
            else value
            for name, value in inputs.items()
        }
        more = generation_arguments(model, on_device) if self._points_by_tokens else {}
        output = model.generate(**on_device, generation_config=self.decoding, **more)
        ends = set(self.decoding.eos_token_id or ())
        rows: list[list[int]] = []
        finished: list[str] = []
        for row in output[:, inputs["input_ids"].shape[1] :].tolist():
            end = next((at for at, token in enumerate(row) if token in ends), None)
            rows.append(row[:end])
            finished.append(AT_TOKEN_LIMIT if end is None else AT_END_TOKEN)
        texts = self.processor.decode(rows)
        if self._points_by_tokens:
            (text,), (reason,) = texts, finished
            sent = prepared.sent[questions[0].id]
            pointing = prepared.pointing[(questions[0].id,)]
            return [self._output(pointing.text(model, text, sent), sent, reason, generated=text)]
        return [
            self._output(text, prepared.sent[question.id], reason)
            for question, text, reason in zip(questions, texts, finished, strict=True)
        ]

    def _output(self, text: str, sent: tuple[Size, ...], reason: str, **generated: str) -> Output:
        resized = [self.processor.resized(size) for size in sent]
        details = {
            "sent": [list(size) for size in sent],
            "resized": [None if size is None else list(size) for size in resized],
            "finish": reason,
            **generated,
        }
        return Output(text, self._counted(sent), details)

    @cached_property
    def _fingerprint(self) -> str:
        return self.folder.fingerprint()

    def describe(self) -> dict[str, Any]:
        """Model, processor, numerics and decoding of this run, and the stored rules that were not used."""
        used = self.rules()
        stored = {
            name: value
            for name, value in self.folder.generation.items()
            if name != "eos_token_id" and name not in _NOT_TEXT
        }
        versions = {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "pillow": PIL.__version__,
        }
        adapter = None
        if self.adapter is not None:
            import peft

            adapter = describe_adapter(self.adapter)
            versions["peft"] = peft.__version__
        return {
            "model": self.folder.given,
            "revision": self.folder.revision,
            "model_type": self.folder.model_type,
            "fingerprint": self._fingerprint,
            "adapter": adapter,
            "trust_remote_code": self._trust,
            "dtype": str(self._dtype).removeprefix("torch."),
            "device": SPREAD if self._spread else self.device.type,
            "attention": self._attention,
            "convention": self.convention,
            "message": message_form(self._convention),
            "processor": self.processor.describe(),
            "decoding": used,
            "generation_config_not_used": unused_rules(stored, used),
            "versions": versions,
        }


def check_readable(convention: Convention, processor: Processor, folder: Folder) -> None:
    """Check that the convention can be used with this processor.

    Raises:
        UserError: the convention uses pixels of the resized image, and the processor crops, splits or pads
            images; or it names images, and the chat template does not leave them after their names.
    """
    names = convention.picture_names(2)
    if names and not processor.leaves_images_in_place(names):
        raise UserError(
            f"--convention {convention.name}: the chat template of hf:{folder.given} moves images away"
            " from their names; name another convention"
        )
    if convention.pixels == "resized" and not processor.knows_resized:
        raise UserError(
            f"--convention {convention.name}: its numbers count pixels of the resized image, and the"
            f" processor of hf:{folder.given} cuts, crops or pads images; name another convention"
        )


def greedy(folder: Folder, tokenizer: Any, max_new_tokens: int) -> GenerationConfig:
    """Greedy decoding up to the model's end tokens; all other decoding rules are switched off."""
    text = folder.config.get("text_config")
    named = [
        folder.generation.get("eos_token_id"),
        folder.config.get("eos_token_id"),
        text.get("eos_token_id") if isinstance(text, Mapping) else None,
        tokenizer.eos_token_id,
    ]
    ends: list[int] = []
    for value in named:
        ends += value if isinstance(value, list) else [] if value is None else [value]
    return greedy_rules(tokenizer, list(dict.fromkeys(ends)), max_new_tokens)
