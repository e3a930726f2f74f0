"""LoRA: only adapters change, merged checkpoints are whole models, adapters are PEFT's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from x3spatial.errors import UserError

from .common import CHECKPOINT, FIXTURE, RGB, options, torch, weights, write_data

peft = pytest.importorskip("peft")


def run(tmp_path: Path, **more: Any) -> Path:
    from x3spatial.training.sft import sft

    data = write_data(tmp_path / "d.json", RGB)
    out = tmp_path / "run"
    settings = {"lora_enable": True, "lora_r": 4, "learning_rate": 1e-2, **more}
    sft(options(data, out, **settings))
    return out


def test_only_adapted_layers_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from x3spatial.training.trainer import SpatialTrainer

    seen: list[Any] = []
    real: Any = SpatialTrainer.__init__

    def spy(self: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        seen.append((model, {n: p.detach().clone() for n, p in model.named_parameters()}))
        real(self, model, *args, **kwargs)

    monkeypatch.setattr(SpatialTrainer, "__init__", spy)
    out = run(tmp_path, lora_target_modules="q_proj,v_proj")
    model, before = seen[0]
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {name for name in before if ".lora_" in name} and len(changed) == 8
    # In the merged checkpoint exactly the adapted layers differ from the base.
    base, merged = weights(CHECKPOINT), weights(out)
    assert set(merged) == {name for name in base if not name.startswith("depth")}
    moved = {name for name in merged if not torch.equal(merged[name], base[name])}
    assert moved == {
        f"llm/model.layers.{layer}.self_attn.{kind}_proj.weight"
        for layer in (0, 1)
        for kind in "qv"
    }


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # PEFT's own
def test_the_adapter_loads_with_peft_and_equals_the_merged_model(tmp_path: Path) -> None:
    from x3spatial.models.roborefer import load_model, load_processor
    from x3spatial.training.collate import SpatialCollator
    from x3spatial.training.dataset import LazySupervisedSpatialDataset

    out = run(tmp_path)
    processor = load_processor(out)
    data = LazySupervisedSpatialDataset(tmp_path / "d.json", processor, image_folder=FIXTURE)
    batch = SpatialCollator(processor)([data[0]])
    for folder in (out, out / "checkpoint-3"):
        adapted = peft.PeftModel.from_pretrained(load_model(CHECKPOINT), folder / "adapter").eval()
        assert adapted.peft_config["default"].base_model_name_or_path == str(CHECKPOINT)
        with torch.no_grad():
            wanted = adapted(**batch).logits
            found = load_model(folder)(**batch).logits
            plain = load_model(CHECKPOINT)(**batch).logits
        assert torch.allclose(found, wanted, atol=1e-4)
        assert float((plain - wanted).abs().max()) > 0.1


def test_the_adapter_alone(tmp_path: Path) -> None:
    out = run(tmp_path, lora_save="adapter")
    for folder in (out, out / "checkpoint-3"):
        assert (folder / "adapter" / "adapter_model.safetensors").is_file()
        assert (folder / "x3_training.json").is_file()
        assert not list(folder.glob("*/model.safetensors"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"lora_target_modules": "q_proj,qproj"},
            r"no layer 'qproj'; the language model has .*v_proj",
        ),
        ({"tune_mm_projector": True}, "--lora-enable: trains the language model's adapters only"),
        ({"lora_r": 0}, "--lora-r 0"),
    ],
)
def test_what_cannot_be_met(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(tmp_path, **more)
