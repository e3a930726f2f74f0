"""The processor of a model: conversion of images and text to tensors, with or without torchvision.

transformers has most image processors in two versions, based on Pillow and on torchvision, with different
resampling. The Pillow version is used if it exists, so that answers do not depend on installed packages.
Video processors, which require torchvision, are not loaded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, cast

import torch
import transformers
from PIL import Image
from transformers.models.auto.auto_mappings import PROCESSOR_MAPPING_NAMES
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.models.auto.processing_auto import AutoProcessor
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.processing_utils import ProcessorMixin

from x3spatial.conventions.base import message_parts, named_parts
from x3spatial.errors import UserError
from x3spatial.models.huggingface.folder import Folder, first_line
from x3spatial.models.local.image_loading import check_pixel_rule
from x3spatial.models.local.model import check_text
from x3spatial.models.local.weights import read_object
from x3spatial.tasks.question import Size

EXTRA = "hf-torchvision"
VISUAL_TOKENS = 1280
"""Default maximum number of merged patches per image. Qwen-VL's own bound of 16384 is too large for batches;
1280 is the value suggested in its documentation."""
_PROBE: Size = (160, 120)
_END = "(the question)"
"""Stands for the text of a question."""
_VOCABULARIES = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json",
)  # fmt: skip
_CONFIGS = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")

Messages = list[dict[str, Any]]


def messages(images: Sequence[Image.Image], text: str, names: Sequence[str] = ()) -> Messages:
    """One user turn: the images in the order of the question, then the text.

    ``names``: the name of each image, which is put before it; empty for images without names.
    """
    shown = [{"type": "image", "image": image} for image in images]
    return [{"role": "user", "content": message_parts(shown, text, names)}]


class Processor:
    """Converts conversations to model inputs, and reports how images are resized.

    Safe to use from several threads.

    Args:
        folder: a checked folder.
        trust_remote_code: whether code in the folder may be run.
        min_pixels, max_pixels: bounds of an image's area after resizing, for families that have them (such as
            Qwen-VL). None: the lower bound of the folder, and the smaller of its upper bound and the area of
            ``VISUAL_TOKENS``.

    Raises:
        UserError: files are missing, there is no chat template, or a bound is invalid.
    """

    def __init__(
        self,
        folder: Folder,
        *,
        trust_remote_code: bool = False,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
    ) -> None:
        self._named = f"--model hf:{folder.given}"
        self._processor = _load(folder, trust_remote_code=trust_remote_code)
        self._lock = threading.Lock()
        self._resized: dict[Size, Size | None] = {}
        images = self._processor.image_processor
        check_pixel_rule(
            {
                name: getattr(images, name, None)
                for name in ("image_mean", "image_std", "rescale_factor")
            },
            self._named,
        )
        self.tokenizer = self._processor.tokenizer
        check_text(self.tokenizer, self._named)
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        if not getattr(self._processor, "chat_template", None):
            # Older folders only have it in the tokenizer; support for images is tested below.
            self._processor.chat_template = self.tokenizer.chat_template
        if not self._processor.chat_template:
            raise UserError(
                f"{self._named}: the processor has no chat template; put chat_template.jinja of the model"
                " it was made from into the folder (base models without one cannot be asked)"
            )
        self.bounds = self._set_bounds(min_pixels, max_pixels)
        self._probe()

    def __call__(self, conversations: Sequence[Messages], **more: Any) -> dict[str, Any]:
        """Inputs of ``generate`` for a batch, mostly tensors, padded on the left.

        ``more``: further arguments of the processor's ``apply_chat_template``. With them a single
        conversation is passed by itself, because what they add may be shaped by it.

        Raises:
            ValueError: an image cannot be processed, or text and images do not match.
        """
        given = conversations[0] if more and len(conversations) == 1 else list(conversations)
        with self._lock:  # fast tokenizers with padding are not thread-safe
            try:
                inputs = self._processor.apply_chat_template(
                    given,
                    add_generation_prompt=True,
                    tokenize=True,
                    return_dict=True,
                    return_tensors="pt",
                    processor_kwargs={"padding": True, "padding_side": "left"},
                    **more,
                )
            except StopIteration:  # from transformers before 5.23
                raise ValueError(
                    "the text has more image placeholders (such as <|image_pad|>) than images"
                ) from None
        return dict(inputs)

    def _text(self, conversations: Sequence[Messages]) -> list[str]:
        """What the chat template makes of conversations."""
        texts: list[str] = self._processor.apply_chat_template(list(conversations), tokenize=False)
        return texts

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The texts of token ids, without surrounding whitespace.

        Special tokens are kept, because some families mark points with them.
        """
        with self._lock:
            texts = self.tokenizer.batch_decode(ids, skip_special_tokens=False)
        return [text.strip() for text in texts]

    def resized(self, size: Size) -> Size | None:
        """(W, H) of an image of ``size`` after resizing; None if it is split, cropped or padded.

        Measured by resizing a black image once per size, from the patch grid (Qwen-VL and similar) or
        from the shape of the pixels.
        """
        if size not in self._resized:
            self._resized[size] = self._measure(size)
        return self._resized[size]

    @property
    def knows_resized(self) -> bool:
        """Whether ``resized`` returns a size for this processor."""
        return self.resized(_PROBE) is not None

    def leaves_images_in_place(self, names: Sequence[str]) -> bool:
        """Whether the chat template puts each image after its name, where the message has it."""
        blank = Image.new("RGB", _PROBE)
        (text,) = self._text([messages([blank] * len(names), _END, names)])
        places = [text.find(part) for part in (*named_parts(names), _END)]
        between = [
            text[place + len(part) : after]
            for part, place, after in zip(named_parts(names), places[:-1], places[1:], strict=True)
        ]
        return min(places) >= 0 and sorted(places) == places and all(map(str.strip, between))

    def describe(self) -> dict[str, Any]:
        """Class and settings as JSON values."""
        images = self._processor.image_processor
        settings = json.loads(images.to_json_string())
        return {
            "class": type(self._processor).__name__,
            "image_processor": type(images).__name__,
            **({} if self.bounds is None else self.bounds),
            "settings": {
                name: value
                for name, value in sorted(settings.items())
                if value is not None and name not in ("image_processor_type", "processor_class")
            },
        }

    def _measure(self, size: Size) -> Size | None:
        images = self._processor.image_processor
        with self._lock:
            try:
                made = images([Image.new("RGB", size)], return_tensors="pt")
            except ValueError:
                return None  # for example too narrow; processing the question raises an error with the reason
        grid = made.get("image_grid_thw")
        patch = getattr(images, "patch_size", None)
        if grid is not None and isinstance(patch, int):
            _, rows, columns = (int(value) for value in grid[0])
            return columns * patch, rows * patch
        pixels = made.get("pixel_values")
        alone = set(made) == {"pixel_values"} and isinstance(pixels, torch.Tensor)
        if not alone or pixels.ndim != 4 or len(pixels) != 1:
            return None
        if any(getattr(images, name, False) for name in ("do_center_crop", "do_pad")):
            return None
        return int(pixels.shape[3]), int(pixels.shape[2])

    def _set_bounds(self, low: int | None, high: int | None) -> dict[str, int] | None:
        """Set and return the bounds; None for a family without bounds.

        Raises:
            UserError: the family has no bounds, or a bound is out of range.
        """
        images = self._processor.image_processor
        size = getattr(images, "size", None)
        patch, merge = getattr(images, "patch_size", None), getattr(images, "merge_size", None)
        areas = "max_pixels" in getattr(
            getattr(images, "valid_kwargs", None), "__annotations__", {}
        )
        if not areas or size is None or not isinstance(patch, int) or not isinstance(merge, int):
            for option, value in (("--min-pixels", low), ("--max-pixels", high)):
                if value is not None:
                    raise UserError(
                        f"{option}: {self._named} resizes images by a rule of its own"
                        f" ({type(images).__name__}); leave the option out"
                    )
            return None
        token = (patch * merge) ** 2
        own = (int(size["shortest_edge"]), int(size["longest_edge"]))
        low = own[0] if low is None else low
        high = max(low, min(own[1], VISUAL_TOKENS * token)) if high is None else high
        if low < 1:
            raise UserError(f"--min-pixels {low}: must be at least 1")
        if high < max(low, token):
            raise UserError(
                f"--max-pixels {high}: must be at least {max(low, token)}"
                f" (--min-pixels, and one token's {patch * merge} x {patch * merge} pixels)"
            )
        images.size = type(size)(shortest_edge=low, longest_edge=high)
        return {"min_pixels": low, "max_pixels": high}

    def _probe(self) -> None:
        """Process a question about a blank image, so that an unusable processor fails before the run."""
        blank = Image.new("RGB", _PROBE)
        try:
            inputs = self([messages([blank], "?")])
            # Not all versions of transformers notice that a template has no place for images.
            one, two = (self._text([messages([blank] * count, "?")]) for count in (1, 2))
        except Exception as error:
            raise UserError(
                f"{self._named}: its processor and chat template cannot ask about an image:"
                f" {first_line(error)}"
            ) from None
        if "pixel_values" not in inputs or one == two:
            raise UserError(f"{self._named}: its chat template leaves images out")


def _load(folder: Folder, *, trust_remote_code: bool) -> Any:
    named = f"--model hf:{folder.given}"
    everything = folder.path / _CONFIGS[0]
    in_one = everything.is_file() and "image_processor" in read_object(everything)
    if not in_one and not (folder.path / _CONFIGS[1]).is_file():
        raise UserError(f"{named}: {_CONFIGS[1]} is missing; expected how its images are prepared")
    # Without these files some classes silently create an empty tokenizer.
    if not trust_remote_code and not any((folder.path / name).is_file() for name in _VOCABULARIES):
        raise UserError(f"{named}: the tokenizer's files are missing; expected tokenizer.json")
    try:
        processor = _processor_class(folder, trust_remote_code=trust_remote_code).from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except UserError:
        raise
    except Exception as error:  # third-party files read by third-party code
        reason = first_line(error)
        if "torchvision" in str(error).lower():
            raise UserError(
                f'{named}: its processor needs torchvision; run: pip install "x3spatial[{EXTRA}]"'
            ) from None
        if "trust_remote_code" in str(error):
            raise UserError(
                f"{named}: its processor needs code that lies in the folder; read it, and if you trust"
                " it give --trust-remote-code"
            ) from None
        raise UserError(f"{named}: the processor cannot be read: {reason}") from None
    for part in ("image_processor", "tokenizer"):
        if getattr(processor, part, None) is None:
            raise UserError(
                f"{named}: the processor has no {part.replace('_', ' ')}; expected the folder to hold"
                " preprocessor_config.json and the tokenizer's files"
            )
    return processor


def _processor_class(folder: Folder, *, trust_remote_code: bool) -> Any:
    """The class of the folder's processor: that of transformers without its video part."""
    configs = [
        read_object(folder.path / name) for name in _CONFIGS if (folder.path / name).is_file()
    ]
    if trust_remote_code and any(
        "AutoProcessor" in (config.get("auto_map") or {}) for config in [folder.config, *configs]
    ):
        return AutoProcessor
    names = [config["processor_class"] for config in configs if config.get("processor_class")]
    names.append(PROCESSOR_MAPPING_NAMES.get(folder.model_type or ""))
    found = next((getattr(transformers, name, None) for name in names if name), None)
    if not (isinstance(found, type) and issubclass(found, ProcessorMixin)):
        return AutoProcessor
    return type(found.__name__, (_ImagesOnly, found), {"__module__": __name__})


class _NoVideos:
    """Placeholder for the video processor."""

    model_input_names: Sequence[str] = ()
    num_frames = fps = None
    # Read by the processor of MiniCPM-V when it is made.
    slice_mode = False
    downsample_mode = "16x"


class _ImagesOnly(ProcessorMixin):
    """Mix-in for processor classes: Pillow for images, no video processor."""

    @classmethod
    def _get_arguments_from_pretrained(
        cls, pretrained_model_name_or_path: Any, processor_dict: Any = None, **kwargs: Any
    ) -> Any:
        path, stock = pretrained_model_name_or_path, cast(Any, super())
        images, tokenizers = cast(Any, AutoImageProcessor), cast(Any, AutoTokenizer)
        makers = {
            "tokenizer": lambda: tokenizers.from_pretrained(path, **kwargs),
            "image_processor": lambda: images.from_pretrained(path, backend="pil", **kwargs),
            "video_processor": _NoVideos,
        }
        parts = cast(Any, cls).get_attributes()
        if set(parts) <= set(makers):
            return [makers[part]() for part in parts]
        return stock._get_arguments_from_pretrained(path, processor_dict, **kwargs)

    def check_argument_for_proper_class(self, argument_name: Any, argument: Any) -> Any:
        if isinstance(argument, _NoVideos):
            return None
        return cast(Any, super()).check_argument_for_proper_class(argument_name, argument)

    def to_dict(self) -> dict[str, Any]:
        written: dict[str, Any] = super().to_dict()
        return {name: part for name, part in written.items() if not isinstance(part, _NoVideos)}
