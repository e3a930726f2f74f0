"""The model: SigLIP towers and Qwen2 of transformers, connected by RoboRefer's projector."""

from __future__ import annotations

import inspect
import math
from itertools import islice
from typing import Any

import torch
from torch import nn
from transformers.generation.utils import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.modeling_utils import PreTrainedModel
from transformers.models.qwen2.modeling_qwen2 import Qwen2ForCausalLM
from transformers.models.siglip.modeling_siglip import SiglipVisionModel

from x3spatial.models.roborefer.configuration import RoboReferConfig

PARTS = ("vision_tower", "mm_projector", "depth_tower", "depth_projector", "llm")
"""Names of the parts: attributes of the model and folders of the published layout."""

_CACHE_NAMES = ("cache", "past_key_values")
_CACHE = next(
    name for name in _CACHE_NAMES if name in inspect.signature(Qwen2ForCausalLM.forward).parameters
)
"""Name of the language model's cache argument: ``cache`` since transformers 5.24, and ``past_key_values``
before."""


class Fold3x3(nn.Module):
    """Folds each 3x3 neighbourhood of a square grid into one vector, with zero padding.

    ``[B, g*g, C]`` to ``[B, ceil(g/3)^2, 9*C]``; channel ``(dr*3 + dc)*C + c`` of a cell is channel c of the
    vector at row offset dr and column offset dc. Rows and columns of zeros are added at the bottom and right.
    """

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Fold ``rows`` [B, g*g, C].

        Raises:
            ValueError: the number of rows is not a square.
        """
        batch, count, channels = rows.shape
        grid = math.isqrt(count)
        if grid * grid != count:
            raise ValueError(f"{count} patches do not make a square grid")
        padding = -grid % 3
        cells = (grid + padding) // 3
        padded = nn.functional.pad(
            rows.reshape(batch, grid, grid, channels), (0, 0, 0, padding, 0, padding)
        )
        blocks = padded.reshape(batch, cells, 3, cells, 3, channels).permute(0, 1, 3, 2, 4, 5)
        return blocks.reshape(batch, cells * cells, 9 * channels)


class RoboReferProjector(nn.Module):
    """``mlp_downsample_3x3_fix``: ``[B, g*g, C]`` tower vectors to ``[B, ceil(g/3)^2, H]``.

    GELU is the exact form and LayerNorm uses torch's default eps; both differ from the tower.
    """

    def __init__(self, tower_width: int, text_width: int) -> None:
        super().__init__()
        folded, inner = 9 * tower_width, 3 * tower_width
        self.layers = nn.Sequential(
            Fold3x3(),
            nn.LayerNorm(folded),
            nn.Linear(folded, inner),
            nn.GELU(),
            nn.LayerNorm(inner),
            nn.Linear(inner, text_width),
            nn.GELU(),
            nn.Linear(text_width, text_width),
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Project tower vectors ``rows`` [B, g*g, C] to ``[B, ceil(g/3)^2, H]``."""
        projected: torch.Tensor = self.layers(rows)
        return projected


class RoboReferTower(SiglipVisionModel):  # type: ignore[no-untyped-call]
    """A SigLIP tower that stops at the layer that the projector reads.

    It has all parameters of the base class, so that checkpoints keep those of the layers after the selected
    one. These layers are not computed and never get a gradient.
    """

    def forward(self, pixel_values: torch.Tensor, select_layer: int = -2) -> torch.Tensor:
        """Convert pixels ``[N, 3, H, W]`` to the hidden state ``select_layer``, ``[N, patches, C]``.

        There is no final normalisation; SigLIP has no class token, so no vector is dropped.

        A frozen tower builds no graph. Gradient checkpointing makes the outputs of all embeddings require
        gradients, for adapters; the activations of a tower without trained parameters would all be kept.
        """
        layers = self.encoder.layers
        tuned = any(parameter.requires_grad for parameter in self.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and tuned):
            hidden: torch.Tensor = self.embeddings(pixel_values)
            for layer in islice(layers, layers_run(len(layers), select_layer)):
                hidden = layer(hidden, None)
        return hidden


def layers_run(layers: int, select_layer: int) -> int:
    """The number of tower layers needed for hidden state ``select_layer`` (state 0: embeddings).

    Raises:
        ValueError: the tower has no such hidden state.
    """
    run = select_layer if select_layer >= 0 else layers + 1 + select_layer
    if not 0 <= run <= layers:
        raise ValueError(f"hidden state {select_layer} of a tower with {layers} layers")
    return run


class RoboReferPreTrainedModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Declarations for transformers about the parts of the model."""

    config: RoboReferConfig
    config_class = RoboReferConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ["image", "text"]  # noqa: RUF012
    supports_gradient_checkpointing = True
    _no_split_modules = [  # noqa: RUF012 (the base class declares it so)
        "SiglipVisionEmbeddings",
        "SiglipEncoderLayer",
        "RoboReferProjector",
        "Qwen2DecoderLayer",
    ]
    _skip_keys_device_placement = [*_CACHE_NAMES]  # noqa: RUF012
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def _init_weights(self, module: nn.Module) -> None:
        # The other parts are initialised by their own classes.
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.config.text_config.initializer_range)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


class RoboReferForConditionalGeneration(  # type: ignore[no-untyped-call]
    RoboReferPreTrainedModel, GenerationMixin
):
    """RoboRefer: text and images (and depth maps) in, text out.

    The processor expands each ``<image>`` of the text to ``tokens_per_image`` placeholder ids in
    ``input_ids``; the features of the image replace their embeddings.
    """

    def __init__(self, config: RoboReferConfig) -> None:
        super().__init__(config)
        text_width = config.text_config.hidden_size
        self.vision_tower = RoboReferTower._from_config(config.vision_config)  # type: ignore[no-untyped-call]
        self.mm_projector = RoboReferProjector(config.vision_config.hidden_size, text_width)
        self.depth_tower = (
            None
            if config.depth_config is None
            else RoboReferTower._from_config(config.depth_config)  # type: ignore[no-untyped-call]
        )
        depth_width = (config.depth_config or config.vision_config).hidden_size
        self.depth_projector = (
            RoboReferProjector(depth_width, text_width) if config.enable_depth else None
        )
        self.llm = Qwen2ForCausalLM._from_config(config.text_config)  # type: ignore[no-untyped-call]
        self.post_init()  # type: ignore[no-untyped-call]

    def parts(self) -> dict[str, nn.Module]:
        """The parts of this model by name."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: module for name, module in found.items() if module is not None}

    def unused_parameters(self) -> list[str]:
        """Names of parameters that do not affect the output: tower layers after the selected one."""
        names = []
        for name in ("vision_tower", "depth_tower"):
            tower = self.parts().get(name)
            if not isinstance(tower, RoboReferTower):
                continue
            layers = tower.encoder.layers
            ends: list[nn.Module] = [
                *islice(layers, layers_run(len(layers), self.config.select_layer), None),
                tower.post_layernorm,
            ]
            if tower.use_head:
                ends.append(tower.head)
            idle = {id(parameter) for end in ends for parameter in end.parameters()}
            names += [
                f"{name}.{key}" for key, value in tower.named_parameters() if id(value) in idle
            ]
        return names

    def get_input_embeddings(self) -> nn.Module:
        """The language model's embedding table."""
        table: nn.Module = self.llm.get_input_embeddings()
        return table

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's embedding table."""
        self.llm.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        head: nn.Module = self.llm.get_output_embeddings()
        return head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the language model's head."""
        self.llm.set_output_embeddings(new_embeddings)

    def get_image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Features ``[N, tokens_per_image, H_text]`` of pixels ``[N, 3, H, W]`` in [-1, 1]."""
        rows = self.vision_tower(pixel_values, self.config.select_layer)
        features: torch.Tensor = self.mm_projector(rows)
        return features

    def get_depth_features(self, depth_values: torch.Tensor) -> torch.Tensor:
        """Features of depth maps, shapes as in ``get_image_features``.

        Raises:
            ValueError: the checkpoint has no depth projector.
        """
        if self.depth_projector is None:
            raise ValueError("depth maps were given, but this checkpoint has no depth projector")
        tower = self.vision_tower if self.depth_tower is None else self.depth_tower
        features: torch.Tensor = self.depth_projector(tower(depth_values, self.config.select_layer))
        return features

    def merge(
        self,
        input_ids: torch.Tensor,
        *,
        pixel_values: torch.Tensor | None = None,
        image_indices: torch.Tensor | None = None,
        depth_values: torch.Tensor | None = None,
        depth_indices: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Embeddings ``[B, S, H]`` of ``input_ids``, with placeholders replaced by features of images and
        depth maps.

        Args:
            input_ids: ``[B, S]``, placeholders expanded.
            pixel_values: ``[N, 3, H, W]``, each image once.
            image_indices: ``[B, M]``: the images of each sample in the order of its placeholders, -1 for
                none.
                None: the images are assigned in the order of the batch.
            depth_values, depth_indices: the same for depth maps.

        Raises:
            ValueError: the numbers of placeholders and images of a sample differ.
        """
        embeds: torch.Tensor = self.get_input_embeddings()(input_ids)
        media = (
            ("image", self.config.image_token_id, pixel_values, image_indices),
            ("depth", self.config.depth_token_id, depth_values, depth_indices),
        )
        for kind, token, pixels, indices in media:
            slots = (
                torch.zeros_like(input_ids, dtype=torch.bool)
                if token is None
                else input_ids == token
            )
            if pixels is None:
                if slots.any():
                    raise ValueError(f"the text has {kind} placeholders, but no {kind} was given")
                continue
            encode = self.get_image_features if kind == "image" else self.get_depth_features
            features = encode(pixels)
            rows = _rows_in_order(features, slots, indices, kind)
            embeds = embeds.masked_scatter(
                slots.unsqueeze(-1), rows.to(device=embeds.device, dtype=embeds.dtype)
            )
        return embeds

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_indices: torch.Tensor | None = None,
        depth_values: torch.Tensor | None = None,
        depth_indices: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        cache: Any = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits ``[B, S, V]`` and, with ``labels``, the token-mean loss.

        Padding may be on the left or right, because positions only count unmasked tokens. Arguments that are
        not described in ``merge`` are those of ``Qwen2ForCausalLM.forward``; ``cache`` and
        ``past_key_values`` are two names of one.

        Raises:
            ValueError: the numbers of placeholders and images of a sample differ.
        """
        cache = past_key_values if cache is None else cache
        cached = cache is not None and cache.get_seq_length() > 0
        if inputs_embeds is None and input_ids is not None and not cached:
            inputs_embeds = self.merge(
                input_ids,
                pixel_values=pixel_values,
                image_indices=image_indices,
                depth_values=depth_values,
                depth_indices=depth_indices,
            )
        if (
            position_ids is None
            and not cached
            and attention_mask is not None
            and attention_mask.dim() == 2
        ):
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        output: CausalLMOutputWithPast = self.llm(
            input_ids=input_ids if inputs_embeds is None else None,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            labels=labels,
            logits_to_keep=logits_to_keep,
            **{_CACHE: cache},
            **kwargs,
        )
        return output

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: torch.Tensor, inputs_embeds: torch.Tensor | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """As the base class; images are only passed with the prompt, later steps use the cache."""
        base: Any = super()
        inputs: dict[str, Any] = base.prepare_inputs_for_generation(
            input_ids, inputs_embeds=inputs_embeds, **kwargs
        )
        cache = inputs.get(_CACHE)
        if cache is not None and cache.get_seq_length() > 0:
            for name in ("pixel_values", "image_indices", "depth_values", "depth_indices"):
                inputs.pop(name, None)
        return inputs

    def _expand_inputs_for_generation(  # type: ignore[override]
        self, expand_size: int = 1, is_encoder_decoder: bool = False,
        input_ids: torch.Tensor | None = None, **model_kwargs: Any,
    ) -> tuple[torch.Tensor | None, dict[str, Any]]:  # fmt: skip
        """As the base class, but images are not repeated, because indices refer to them."""
        held = {}
        for kind, token, values, indices in (
            ("image", self.config.image_token_id, "pixel_values", "image_indices"),
            ("depth", self.config.depth_token_id, "depth_values", "depth_indices"),
        ):
            pixels = model_kwargs.get(values)
            if expand_size == 1 or pixels is None:
                continue
            held[values] = model_kwargs.pop(values)
            if model_kwargs.get(indices) is None and input_ids is not None and token is not None:
                slots = torch.eq(input_ids, token)
                model_kwargs[indices] = _indices_in_order(slots, len(pixels), kind)
        base: Any = super()
        ids, expanded = base._expand_inputs_for_generation(
            expand_size=expand_size,
            is_encoder_decoder=is_encoder_decoder,
            input_ids=input_ids,
            **model_kwargs,
        )
        return ids, {**expanded, **held}


def _rows_in_order(
    features: torch.Tensor, slots: torch.Tensor, indices: torch.Tensor | None, kind: str
) -> torch.Tensor:
    """``[R, H]``: the feature rows in the order of the placeholders ``slots [B, S]``."""
    per_image = features.shape[1]
    found = slots.sum(1)
    if indices is None:
        indices = _indices_in_order(slots, len(features), kind)
    expected = (indices >= 0).sum(1).to(found.device) * per_image
    if not torch.equal(found, expected):
        row = int((found != expected).nonzero()[0])
        raise ValueError(
            f"sample {row} of the batch: {int(found[row])} {kind} placeholders in the text, "
            f"{int(expected[row])} rows of its {kind}s"
        )
    order = indices[indices >= 0].to(features.device)
    return features[order].flatten(0, 1)


def _indices_in_order(slots: torch.Tensor, images: int, kind: str) -> torch.Tensor:
    """Image indices ``[B, M]`` for images listed in the order of the batch."""
    total = int(slots.sum())
    per_image = total // images if images else 0
    counts = slots.sum(1).tolist()
    if not per_image or total % images or any(count % per_image for count in counts):
        raise ValueError(f"{images} {kind}(s) for {total} {kind} placeholders, {counts} by sample")
    counts = [count // per_image for count in counts]
    indices = torch.full((len(counts), max(counts)), -1, dtype=torch.long, device=slots.device)
    start = 0
    for row, count in enumerate(counts):
        indices[row, :count] = torch.arange(start, start + count, device=slots.device)
        start += count
    return indices
