"""The model ``openai:MODEL``: a model behind any server that speaks OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Self

from x3spatial.conventions.base import Convention, message_form, message_parts
from x3spatial.conventions.registry import choose_convention
from x3spatial.conventions.resize import smart_resize
from x3spatial.errors import UserError, flag
from x3spatial.models.servers.api_key import ApiKey
from x3spatial.models.servers.client import is_openai, secrets_of_headers
from x3spatial.models.servers.images import ImageLimits
from x3spatial.models.servers.model import Request, ServerModel
from x3spatial.models.servers.parsing import ParsedReply, parse_chat
from x3spatial.models.servers.settings import OPTIONS, Settings, read_extra_body

_PATCH = 28
"""Qwen2.5-VL, the family whose numbers count pixels of the resized image, resizes to multiples of this."""
_LEAST_PIXELS = 4 * _PATCH * _PATCH
_MOST_PIXELS = 1280 * _PATCH * _PATCH
"""The area of 1280 tokens, as for models that run in this process."""
_RESERVED = ("messages", "model", "n", "stream")


class OpenAIModel(ServerModel):
    """A served model; each request is one user message: the images in order, then the text.

    Conventions that name the images put each image after its name.

    Decoding is greedy (temperature 0), with a seed. Fields of ``extra_body`` are added to the request or
    replace default fields; null removes a field, because servers differ in the fields that they accept.

    Args:
        model: name of the model on the server; nothing is inferred from it.
        convention: the point format; it cannot be inferred.
        min_pixels, max_pixels: bounds of the area of the resized image, for conventions in its pixels.
        openai_headers: send OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS of the environment to
            servers other than OpenAI's own, too.

    Raises:
        UserError: an option is invalid.
    """

    path: ClassVar[str] = "/chat/completions"
    options = OPTIONS | {
        "api_key_env", "convention", "extra_body", "max_pixels", "min_pixels", "openai_headers",
    }  # fmt: skip

    def __init__(
        self,
        model: str,
        *,
        convention: Convention,
        settings: Settings,
        api_key: ApiKey,
        extra_body: Mapping[str, Any] | None = None,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        openai_headers: bool = False,
    ) -> None:
        self.name = model.rstrip("/").rpartition("/")[2] or model
        self.model = model
        self.limits = _limits_for(convention, settings, min_pixels, max_pixels)
        extra = dict(extra_body or {})
        ours = {"temperature": 0, "max_tokens": settings.max_new_tokens, "seed": settings.seed}
        fields = {**ours, **extra}
        self.fields = {name: value for name, value in fields.items() if value is not None}
        self._areas = None if convention.pixels != "resized" else _areas(min_pixels, max_pixels)
        if openai_headers or any(is_openai(url) for url in settings.urls):
            api_key = api_key.also(secrets_of_headers())
        super().__init__(
            convention, settings, api_key, self.limits, environment_headers=openai_headers
        )

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """See ``Model.create``."""
        if not argument:
            raise UserError("--model openai: name the model as the server has it, openai:MODEL")
        api_key = ApiKey.from_environment(options.get("api_key_env"))
        extra = options.get("extra_body")
        if extra is not None and api_key.hide(extra) != extra:
            raise UserError("--extra-body: holds the API key, and would be written to the results")
        return cls(
            argument,
            convention=choose_convention(
                options.get("convention"), None, model=f"openai:{argument}"
            ),
            settings=Settings.of(options),
            api_key=api_key,
            extra_body=read_extra_body(extra, _RESERVED),
            min_pixels=options.get("min_pixels"),
            max_pixels=options.get("max_pixels"),
            openai_headers=bool(options.get("openai_headers")),
        )

    def body(self, request: Request) -> dict[str, Any]:
        """See ``ServerModel.body``."""
        images = [
            {"type": "image_url", "image_url": {"url": image.url}} for image in request.images
        ]
        parts = message_parts(images, request.text, request.names)
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": parts}],
            **self.fields,
        }

    def read(self, content: str) -> ParsedReply:
        """See ``ServerModel.read``."""
        return parse_chat(content)

    def describe(self) -> dict[str, Any]:
        """Everything that affects the answers, as far as the client knows, except for the server."""
        return {
            "api": "chat/completions",
            "model": self.model,
            "message": message_form(self._convention),
            "fields": self.fields,
            "max_image_pixels": self.limits.max_pixels,
            "max_image_bytes": self.limits.max_bytes,
            "image_format": self.limits.format,
            "resized": None if self._areas is None else {"factor": _PATCH, "areas": self._areas},
        }


def _areas(min_pixels: int | None, max_pixels: int | None) -> tuple[int, int]:
    """Bounds of the area of resized images.

    Raises:
        UserError: a bound is out of range.
    """
    low = _LEAST_PIXELS if min_pixels is None else min_pixels
    high = _MOST_PIXELS if max_pixels is None else max_pixels
    if low < 1:
        raise UserError(f"--min-pixels {low}: must be at least 1")
    if high < max(low, _PATCH * _PATCH):
        raise UserError(f"--max-pixels {high}: must be at least {max(low, _PATCH * _PATCH)}")
    return low, high


def _limits_for(
    convention: Convention, settings: Settings, min_pixels: int | None, max_pixels: int | None
) -> ImageLimits:
    if convention.pixels == "resized":
        if settings.max_image_pixels is not None:
            raise UserError(
                f"--max-image-pixels: with --convention {convention.name} the size of images follows from"
                " --min-pixels and --max-pixels; use these"
            )
        low, high = _areas(min_pixels, max_pixels)
        resized = partial(smart_resize, factor=_PATCH, min_pixels=low, max_pixels=high)
        return ImageLimits(settings.max_image_bytes, resized=resized, format=settings.image_format)
    for name, value in (("min_pixels", min_pixels), ("max_pixels", max_pixels)):
        if value is not None:
            raise UserError(
                f"{flag(name)}: with --convention {convention.name} the server alone decides how images are"
                " resized; to send smaller ones use --max-image-pixels"
            )
    return ImageLimits(
        settings.max_image_bytes, settings.max_image_pixels, format=settings.image_format
    )
