"""RoboRefer in the Hugging Face idiom, on current transformers.

Importing this package registers the model type ``roborefer`` with AutoConfig, AutoProcessor,
AutoImageProcessor and AutoModelForImageTextToText.
"""

from __future__ import annotations

from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.models.auto.modeling_auto import AutoModelForImageTextToText
from transformers.models.auto.processing_auto import AutoProcessor

from x3spatial.models.roborefer.checkpoint import load_model, read_checkpoint
from x3spatial.models.roborefer.configuration import RoboReferConfig
from x3spatial.models.roborefer.images import RoboReferImageProcessor
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration
from x3spatial.models.roborefer.processing import RoboReferProcessor, load_processor

__all__ = [
    "RoboReferConfig",
    "RoboReferForConditionalGeneration",
    "RoboReferImageProcessor",
    "RoboReferProcessor",
    "load_model",
    "load_processor",
    "read_checkpoint",
]

AutoConfig.register("roborefer", RoboReferConfig, exist_ok=True)
# The same class for both backends, so that Pillow is used even if torchvision is installed.
AutoImageProcessor.register(
    RoboReferConfig,
    slow_image_processor_class=RoboReferImageProcessor,
    fast_image_processor_class=RoboReferImageProcessor,
    exist_ok=True,
)
AutoProcessor.register(  # type: ignore[no-untyped-call]
    RoboReferConfig, RoboReferProcessor, exist_ok=True
)
AutoModelForImageTextToText.register(
    RoboReferConfig, RoboReferForConditionalGeneration, exist_ok=True
)
