"""RoboRefer's configuration: two or three standard parts and their connection."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers.configuration_utils import PreTrainedConfig
from transformers.models.qwen2.configuration_qwen2 import Qwen2Config
from transformers.models.siglip.configuration_siglip import SiglipVisionConfig

PROJECTOR_TYPE = "mlp_downsample_3x3_fix"
"""The projector of the published checkpoints; no other is supported."""


class RoboReferConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """A SigLIP tower, its projector, optionally the same for depth, and a Qwen2 language model.

    Args:
        text_config: configuration of the Qwen2 language model.
        vision_config: configuration of the SigLIP tower.
        depth_config: configuration of the depth tower; None without one.
        enable_depth: whether there is a depth projector. Without ``depth_config`` depth maps are encoded by
            the RGB tower and the depth projector.
        projector_type: ``mlp_downsample_3x3_fix``.
        select_layer: index of the tower's hidden state that the projector reads, among L + 1 states (0:
            embeddings). -2 is the output of the second to last layer.
        image_aspect_ratio: the mode of the checkpoint's training: ``resize``, ``pad`` or ``dynamic``.
        min_tiles, max_tiles: bounds of the dynamic grid.
        image_token_id, depth_token_id: ids from the checkpoint's tokenizer.
        upstream: JSON files of the original checkpoint, kept for saving.
    """

    model_type = "roborefer"
    sub_configs: ClassVar[dict[str, type[PreTrainedConfig]]] = {
        "text_config": Qwen2Config,
        "vision_config": SiglipVisionConfig,
        "depth_config": SiglipVisionConfig,
    }

    def __init__(
        self,
        text_config: Qwen2Config | dict[str, Any] | None = None,
        vision_config: SiglipVisionConfig | dict[str, Any] | None = None,
        depth_config: SiglipVisionConfig | dict[str, Any] | None = None,
        *,
        enable_depth: bool = False,
        projector_type: str = PROJECTOR_TYPE,
        select_layer: int = -2,
        image_aspect_ratio: str = "resize",
        min_tiles: int = 1,
        max_tiles: int = 12,
        image_token_id: int | None = None,
        depth_token_id: int | None = None,
        upstream: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if projector_type != PROJECTOR_TYPE:
            raise ValueError(
                f"projector type {projector_type!r} is not supported: {PROJECTOR_TYPE}"
            )
        if depth_config is not None and not enable_depth:
            raise ValueError("a depth tower without a depth projector: set enable_depth")
        self.text_config = _part(Qwen2Config, text_config or {})
        self.vision_config = _part(SiglipVisionConfig, vision_config or {"vision_use_head": False})
        self.depth_config = (
            None if depth_config is None else _part(SiglipVisionConfig, depth_config)
        )
        self.enable_depth = enable_depth
        self.projector_type = projector_type
        self.select_layer = select_layer
        self.image_aspect_ratio = image_aspect_ratio
        self.min_tiles = min_tiles
        self.max_tiles = max_tiles
        self.image_token_id = image_token_id
        self.depth_token_id = depth_token_id
        self.upstream = upstream or {}
        kwargs["tie_word_embeddings"] = self.text_config.tie_word_embeddings
        super().__init__(**kwargs)

    @property
    def tokens_per_image(self) -> int:
        """Number of input positions of the language model per image (or tile), without end tokens."""
        return tokens_per_image(self.vision_config)

    @property
    def tokens_per_depth(self) -> int:
        """Number of input positions of the language model per depth map, without end tokens."""
        return tokens_per_image(self.depth_config or self.vision_config)


def tokens_per_image(tower: SiglipVisionConfig) -> int:
    """Number of cells after 3x3 folding of the square patch grid, whose side is padded to a multiple of 3."""
    grid = int(tower.image_size) // int(tower.patch_size)  # type: ignore[arg-type]
    return (-(-grid // 3)) ** 2


def _part(kind: type[Any], value: Any) -> Any:
    return kind.from_dict(value) if isinstance(value, dict) else value
