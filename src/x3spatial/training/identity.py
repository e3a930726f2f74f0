"""The identity of a training run: what decides its weights, and what differs from another run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from x3spatial.models.roborefer.checkpoint import Checkpoint
from x3spatial.models.roborefer.layout import fingerprint
from x3spatial.settings import Difference, differences
from x3spatial.training.arguments import Arguments
from x3spatial.training.data_module import DataModule
from x3spatial.training.options import as_given, named

# Settings that decide the weights; others may change when a run is continued.
_DECIDING = (
    "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps",
    "learning_rate", "weight_decay", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps",
    "max_grad_norm", "bf16", "fp16", "optim", "optim_args", "adam_beta1", "adam_beta2",
    "adam_epsilon", "seed", "data_seed", "train_sampling_strategy", "model_max_length",
    "dataloader_drop_last", "label_smoothing_factor", "vision_tower_lr", "mm_projector_lr",
    "depth_tower_lr", "depth_projector_lr", "language_model_lr", "muon_lr", "world_size",
)  # fmt: skip
_DECIDING_MODEL = (
    "enable_depth", "use_depth_tower", "mm_vision_select_layer", "lora_enable", "lora_r",
    "lora_alpha", "lora_dropout", "lora_target_modules",
)  # fmt: skip
_RATES = (
    "vision_tower_lr", "mm_projector_lr", "depth_tower_lr", "depth_projector_lr",
    "language_model_lr",
)  # fmt: skip
_OPTIONS = {
    "llm": "tune_language_model", "warmup_steps": "warmup_ratio", "path": "model_name_or_path",
}  # fmt: skip
"""Keys whose option has another name."""
_OF_DATA = {
    "fingerprint": "the content of", "build": "the parameters of the build of",
    "build_sha256": "the build.json of", "weight": "the weight of",
    "where": "the selection (where) of", "dropped": "the number of too long samples of",
    "samples": "the number of samples of",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """A second start with the same identity continues the run."""

    values: Mapping[str, Any]
    """As the run file records it."""
    implied: Mapping[str, Any]
    """Option → its value if it is not set, with this checkpoint; ``context``: its longest sample."""

    def changes(self, stored: Mapping[str, Any]) -> list[str]:
        """What differs from ``stored`` in meaning, in the user's words: ``--seed was 0, is 3``."""
        pair = self._meaning(stored), self._meaning(self.values)
        # Runs of earlier versions recorded the hash of the build's manifest, which also has its date.
        hashed = any("build" not in entry for side in pair for entry in side["data"])
        for side in pair:
            for entry in side["data"]:
                entry.pop("build" if hashed else "build_sha256", None)
        told: dict[tuple[str, ...], str] = {}
        for difference in differences(*pair):
            # Other files have other numbers too: one is enough for each checkpoint and data set.
            place = {"base": 1, "data": 2}.get(difference.keys[0], len(difference.keys))
            told.setdefault(difference.keys[:place], self._tell(difference))
        return list(told.values())

    def _meaning(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {name: values.get(name) for name in self.values}
        model, training = dict(values.get("model") or {}), dict(values.get("training") or {})
        for name, implied in self.implied.items():
            for part in (model, training):
                if part.get(name, implied) is None:
                    part[name] = implied
        if not model.get("enable_depth"):
            model.pop("use_depth_tower", None)
        if model.get("lora_enable"):
            modules = str(model.get("lora_target_modules")).split(",")
            model["lora_target_modules"] = sorted(module.strip() for module in modules)
        else:
            model = {name: value for name, value in model.items() if not name.startswith("lora_")}
        for name in _RATES:
            if training.get(name) is None:
                training[name] = training.get("learning_rate")
        if (training.get("max_steps") or 0) > 0:
            training.pop("num_train_epochs", None)
        if training.get("model_max_length") is not None:
            training["model_max_length"] = min(
                training["model_max_length"], self.implied["context"]
            )
        data = [
            {
                ("fingerprint" if key == "sha256" else key): value
                for key, value in entry.items()
                if key != "name"
            }
            for entry in values.get("data") or []
        ]
        return {**found, "model": model, "training": training, "data": data}

    def _tell(self, difference: Difference) -> str:
        section, *inner = difference.keys
        key = inner[-1] if inner else section
        if section == "data":
            if len(inner) < 2 or key == "path":
                return f"{named('data_path')} (or --data-mixture) {difference}"
            path = self.values["data"][int(inner[0])]["path"]
            return f"{_OF_DATA.get(key, key)} {path} {difference}"
        if key == "fingerprint":
            return f"the content of {named('model_name_or_path')} {difference}"
        if key == "world_size":
            return f"{named(key)} {difference}"
        option = f"tune_{key}" if section == "tuned" and key != "llm" else _OPTIONS.get(key, key)
        was, now = as_given(option, difference.was), as_given(option, difference.now)
        return f"{named(option)} {Difference(difference.keys, was, now)}"


def run_identity(
    chosen: Arguments, base: Checkpoint, module: DataModule, world: int
) -> RunIdentity:
    """The identity of a run with these options, this checkpoint and this data."""
    values: Any = chosen.training
    settings = {**values.to_dict(), "world_size": world}
    identity = {
        "base": {
            "path": str(base.layout.path.absolute()),
            "fingerprint": fingerprint(base.layout),
        },
        "data": module.provenance(),
        "image_aspect_ratio": chosen.data.image_aspect_ratio,
        "tuned": chosen.model.tuned(),
        "model": {name: getattr(chosen.model, name) for name in _DECIDING_MODEL},
        "training": {name: settings.get(name) for name in _DECIDING},
    }
    config = base.config
    implied = {
        "mm_vision_select_layer": config.select_layer,
        "use_depth_tower": config.depth_config is not None,
        "context": int(config.text_config.max_position_embeddings),
    }
    return RunIdentity(json.loads(json.dumps(identity)), implied)  # as it will be read back
