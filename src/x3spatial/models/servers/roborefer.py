"""The model ``roborefer-server:URL``: RoboRefer's own server.

Its interface, read from ``Zhoues/RoboRefer``, ``API/api.py``: ``POST /query`` with JSON. ``image_url`` holds
the images' files in base64 without a ``data:`` prefix, in order; ``text`` the prompt; ``enable_depth`` is
0 or 1. With 1, ``depth_url`` holds as many depth maps (8-bit, three channels), or is empty and the server
estimates them with Depth Anything V2. The reply is ``{"result": 1, "answer": TEXT}``. The server decides how
long answers are and how they are drawn.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from x3spatial.conventions.unit import UNIT
from x3spatial.errors import UserError, packages_of
from x3spatial.io.images import encode_png
from x3spatial.models.base import Unanswered
from x3spatial.models.servers.api_key import ApiKey
from x3spatial.models.servers.images import ImageLimits
from x3spatial.models.servers.model import Request, ServerModel
from x3spatial.models.servers.parsing import ParsedReply, parse_roborefer
from x3spatial.models.servers.settings import OPTIONS, Settings
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import TASKS


class RoboReferServer(ServerModel):
    """RoboRefer behind its own server; the prompt is that of the record.

    Args:
        settings: servers, limits and retries; the server does not support ``max_new_tokens`` and ``seed``.
        enable_depth: let the server estimate depth maps.
        depth: folder that mirrors the data root with depth maps to send instead.

    Raises:
        UserError: an option is invalid.
    """

    name = "roborefer-server"
    path: ClassVar[str] = "/query"
    options = OPTIONS | {"depth", "enable_depth"}

    def __init__(
        self, settings: Settings, *, enable_depth: bool = False, depth: Path | None = None
    ) -> None:
        if depth is not None:
            if not depth.is_dir():
                raise UserError(f"--depth {depth}: no such folder")
            # Depth maps are read by code of the model, whose packages are needed only here.
            with packages_of("roborefer", "--depth"):
                from x3spatial.models.roborefer import depth as _  # noqa: F401
        self.enable_depth = enable_depth or depth is not None
        self.depth = depth
        self.limits = ImageLimits(
            settings.max_image_bytes, settings.max_image_pixels, format=settings.image_format
        )
        # Without a key, because this kind of server does not use one.
        super().__init__(UNIT, settings, ApiKey(None), self.limits)

    @classmethod
    def options_for(cls, argument: str | None) -> frozenset[str]:
        """See ``Model.options_for``; ``--base-url`` does not apply if the argument contains a URL."""
        return cls.options - {"base_url"} if argument else cls.options

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """See ``Model.create``."""
        if not argument and not options.get("base_url"):
            raise UserError(
                "--model roborefer-server: name its URL, for example roborefer-server:http://localhost:25547"
            )
        depth = options.get("depth")
        return cls(
            Settings.of(options, argument or None),
            enable_depth=bool(options.get("enable_depth")),
            depth=None if depth is None else Path(depth),
        )

    def can_answer(self, task: str) -> bool:
        """Whether the task is supported: with depth maps, tasks with side-by-side images are not."""
        return self.depth is None or not (task in TASKS and TASKS[task].side_by_side)

    def reads(self, question: Question) -> tuple[Path, ...]:
        """The images and, if they are sent, their depth maps."""
        return (*question.images, *self._maps(question))

    def _maps(self, question: Question) -> list[Path]:
        if self.depth is None:
            return []
        from x3spatial.models.roborefer.depth import depth_path

        return [depth_path(image, self.depth) for image in question.images]

    def own_fields(self, question: Question) -> dict[str, Any]:
        """The depth maps.

        Raises:
            Unanswered: one is missing or cannot be read.
        """
        if self.depth is None:
            return {}
        from x3spatial.models.roborefer.images import load_depth

        try:
            images = [np.asarray(load_depth(path), np.uint8) for path in self._maps(question)]
        except (OSError, ValueError) as error:
            raise Unanswered(str(error)) from None
        return {"depth_url": [_base64(encode_png(image)) for image in images]}

    def body(self, request: Request) -> dict[str, Any]:
        """See ``ServerModel.body``."""
        return {
            "image_url": [image.base64 for image in request.images],
            "depth_url": request.extra.get("depth_url", []),
            "enable_depth": int(self.enable_depth),
            "text": request.text,
        }

    def read(self, content: str) -> ParsedReply:
        """See ``ServerModel.read``."""
        return parse_roborefer(content)

    def identity(self) -> dict[str, Any]:
        """The settings and the URL, because nothing else identifies the model."""
        return {**super().identity(), "server": self.settings.urls[0]}

    def describe(self) -> dict[str, Any]:
        """Everything that affects the answers, as far as the client knows."""
        return {
            "api": "query",
            "enable_depth": self.enable_depth,
            "depth": None if self.depth is None else str(self.depth),
            "max_image_pixels": self.limits.max_pixels,
            "max_image_bytes": self.limits.max_bytes,
            "image_format": self.limits.format,
        }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
