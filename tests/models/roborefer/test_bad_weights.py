"""Checkpoints that load but cannot work: refused before anything is asked, in one line with the name."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file, save_file

from x3spatial.cli import run
from x3spatial.errors import UserError
from x3spatial.models.local.finite import is_finite
from x3spatial.models.roborefer.checkpoint import load_model, read_checkpoint
from x3spatial.models.roborefer.inspect import inspect
from x3spatial.models.roborefer.model import RoboReferModel
from x3spatial.models.roborefer.processing import load_processor
from x3spatial.models.roborefer.resize import resize_checkpoint
from x3spatial.models.roborefer.saving import save_hf

NAN, INF = float("nan"), float("inf")


def spoil(
    checkpoint: Path, part: str, name: str, value: float, dtype: torch.dtype = torch.float32
) -> None:
    """Store the part's weights as ``dtype``, the last number of one tensor replaced."""
    file = checkpoint / part / "model.safetensors"
    tensors = {key: tensor.to(dtype) for key, tensor in load_file(file).items()}
    tensors[name].view(-1)[-1] = value
    save_file(tensors, file, {"format": "pt"})


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def nested(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


def refused(read: Callable[[], Any], message: str) -> str:
    with pytest.raises(UserError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("part", "name", "value", "dtype"),
    [
        ("llm", "model.layers.1.mlp.up_proj.weight", NAN, torch.float32),
        ("llm", "model.norm.weight", -INF, torch.bfloat16),
        ("vision_tower", "vision_model.encoder.layers.0.mlp.fc1.bias", INF, torch.float16),
        ("mm_projector", "layers.2.weight", NAN, torch.bfloat16),
        # Computed for depth maps only, and never at all: refused too.
        ("depth_projector", "layers.7.bias", NAN, torch.float16),
        ("vision_tower", "vision_model.post_layernorm.weight", NAN, torch.float32),
    ],
)
def test_weights_that_are_not_finite(
    copied: Path, part: str, name: str, value: float, dtype: torch.dtype
) -> None:
    spoil(copied, part, name, value, dtype)
    message = rf"{part}/model\.safetensors: tensor '{name}' is not finite"
    refused(lambda: load_model(copied), message)
    refused(lambda: inspect(copied), message)


def test_commands_end_with_2(copied: Path, tmp_path: Path, capsys: Any) -> None:
    from training.common import options, write_data
    from x3spatial.training.sft import main as sft

    spoil(copied, "llm", "model.norm.weight", NAN)
    data = write_data(tmp_path / "data.json", ["t1_visible"])
    out = tmp_path / "run"
    assert run(["model", "inspect", str(copied)]) == 2
    assert run(["model", "resize", str(copied), str(tmp_path / "r"), "--image-size", "168"]) == 2
    assert sft(options(data, out, model_name_or_path=copied)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "tensor 'model.norm.weight' is not finite" in line]) == 3
    # Nothing of the run keeps the corrected command from starting.
    assert not (out / "x3_run.json").exists()


def test_our_own_layout(copied: Path, tmp_path: Path) -> None:
    save_hf(load_model(copied), load_processor(copied), tmp_path / "hf")
    file = tmp_path / "hf" / "model.safetensors"
    tensors = load_file(file)
    name = "llm.model.layers.0.self_attn.q_proj.weight"
    tensors[name][0, 0] = NAN
    save_file(tensors, file, {"format": "pt"})
    message = rf"hf/model\.safetensors: tensor '{name}' is not finite"
    refused(lambda: load_model(tmp_path / "hf"), message)
    refused(lambda: inspect(tmp_path / "hf"), message)


def test_pickled_weights(copied: Path) -> None:
    file = copied / "mm_projector" / "model.safetensors"
    tensors = load_file(file)
    tensors["layers.2.bias"][0] = INF
    torch.save(tensors, file.with_name("pytorch_model.bin"))
    file.unlink()
    refused(lambda: load_model(copied), r"pytorch_model\.bin: tensor 'layers\.2\.bias' is not")


def test_weights_too_large_for_the_type_that_was_asked_for(copied: Path) -> None:
    spoil(copied, "llm", "model.norm.weight", 1e6)
    assert load_model(copied) is not None
    assert load_model(copied, dtype="bfloat16") is not None
    refused(
        lambda: load_model(copied, dtype="float16"),
        r"--dtype float16: tensor 'llm\.model\.norm\.weight' of .* is too large for it",
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_every_type_and_place(dtype: torch.dtype) -> None:
    for place in (0, 1234, -1):
        for value in (NAN, INF, -INF):
            tensor = torch.zeros(5000, dtype=dtype)
            assert is_finite(tensor)
            tensor[place] = value
            assert not is_finite(tensor)
    largest = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).min], dtype=dtype)
    assert is_finite(largest)
    assert is_finite(torch.zeros(0, dtype=dtype))
    assert is_finite(torch.full((3,), NAN, device="meta", dtype=dtype))


def test_other_types() -> None:
    assert is_finite(torch.tensor([1, -1])) and is_finite(torch.tensor([True]))
    small = torch.tensor([1.0, NAN]).to(torch.float8_e5m2)
    assert not is_finite(small) and is_finite(small[:1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_std": [0.5, 0, 0.5]}, r"image_std is \[0\.5, 0, 0\.5\]; expected .* above 0"),
        ({"image_std": [0.5, -0.5, 0.5]}, "image_std is .*above 0"),
        ({"image_std": [0.5, NAN, 0.5]}, "image_std.* is nan; expected a finite number"),
        ({"image_mean": [0.5, INF, 0.5]}, "image_mean.* is inf; expected a finite number"),
        ({"image_mean": ["a", 0.5, 0.5]}, "image_mean is .*expected finite numbers"),
        ({"rescale_factor": 0}, "rescale_factor is 0; expected finite numbers above 0"),
        ({"size": 448}, "size is 448; expected height and width"),
    ],
)
def test_images_scaled_by_nothing(copied: Path, values: Any, message: str) -> None:
    change(copied / "vision_tower" / "preprocessor_config.json", **values)
    refused(lambda: RoboReferModel(copied), rf"preprocessor_config\.json: .*{message}")


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("llm/config.json", {"num_hidden_layers": 10**6}, "'num_hidden_layers' is 1000000, but"),
        ("llm/config.json", {"num_hidden_layers": 10**12}, "the weights have only .* tensors"),
        ("vision_tower/config.json", {"num_hidden_layers": 10**6}, "vision_tower/config.json: "),
        ("llm/config.json", {"num_hidden_layers": 3}, "'model.layers.2.* is missing"),
        ("llm/config.json", {"hidden_size": 10**12}, "no model can be built with the sizes"),
        ("llm/config.json", {"num_attention_heads": 10**6}, "no model can be built"),
        ("llm/config.json", {"vocab_size": 10**15}, "'model.embed_tokens.weight' has shape"),
        ("vision_tower/config.json", {"image_size": 10**9}, "position_embedding.weight' has shape"),
        ("config.json", {"max_tiles": 10**7}, "min_tiles is 1, max_tiles 10000000; expected"),
        ("config.json", {"min_tiles": 0}, "min_tiles is 0"),
    ],
)
def test_sizes_are_compared_with_the_weights_first(
    copied: Path, file: str, values: dict[str, int], message: str
) -> None:
    change(copied / file, **values)
    started = time.monotonic()
    refused(lambda: read_checkpoint(copied), message)
    assert time.monotonic() - started < 30  # a model of a million layers takes minutes


def test_sizes_of_our_own_layout(copied: Path, tmp_path: Path) -> None:
    save_hf(load_model(copied), load_processor(copied), tmp_path / "hf")
    config = tmp_path / "hf" / "config.json"
    kept = json.loads(config.read_text())
    text = kept["text_config"]
    for values, message in (
        ({"num_hidden_layers": 10**6}, "'num_hidden_layers' is 1000000"),
        ({"num_hidden_layers": 1, "layer_types": text["layer_types"][:1]}, "has no place in a"),
        ({"intermediate_size": 7}, "has shape"),
    ):
        config.write_text(json.dumps({**kept, "text_config": {**text, **values}}))
        refused(lambda: read_checkpoint(tmp_path / "hf"), message)


@pytest.mark.parametrize("levels", [40, 500, 100_000])
@pytest.mark.parametrize(
    "file", ["config.json", "llm/config.json", "vision_tower/preprocessor_config.json"]
)
def test_deep_json(copied: Path, file: str, levels: int) -> None:
    target = copied / file
    inner = "[" * levels + "]" * levels
    target.write_text(target.read_text().rstrip().removesuffix("}") + f', "x": {inner}}}')
    message = rf"{Path(file).name}: (nested deeper than 32 levels|.*nested too deep)"
    refused(lambda: RoboReferModel(copied), message)


def test_deep_headers(copied: Path) -> None:
    header = b'{"a": ' + b"[" * 100_000
    file = copied / "llm" / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    refused(lambda: read_checkpoint(copied), "not a readable safetensors file")


@pytest.mark.parametrize("value", [NAN, INF])
def test_numbers_that_json_does_not_have(copied: Path, value: float) -> None:
    change(copied / "llm" / "config.json", rms_norm_eps=value)
    refused(lambda: read_checkpoint(copied), r"llm/config\.json: field 'rms_norm_eps' is")


def test_a_vocabulary_that_drops_text(copied: Path) -> None:
    file = copied / "llm" / "tokenizer.json"
    whole = json.loads(file.read_text())
    for keep, message in (
        (set(), r"no token for 94 of 94 plain characters \('a' first\)"),
        (set(whole["model"]["vocab"]) - {"7"}, r"no token for 1 of 94 plain characters \('7'"),
    ):
        model = {
            **whole["model"],
            "vocab": {
                text: number for text, number in whole["model"]["vocab"].items() if text in keep
            },
            "merges": [],
        }
        file.write_text(json.dumps({**whole, "model": model}))
        refused(lambda: RoboReferModel(copied), message)


def test_pickles_are_refused_in_our_own_words(copied: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(copied / "ran"),)

    file = copied / "llm" / "pytorch_model.bin"
    (copied / "llm" / "model.safetensors").unlink()
    torch.save({"w": torch.zeros(100)}, file)
    cut = file.read_bytes()[:300]
    pickled = pickle.dumps({"w": Evil()}, protocol=2)
    torch.save({"w": Evil()}, file)
    for data, message in (
        (file.read_bytes(), "it holds other Python objects, which could run code"),
        (pickled, "it holds other Python objects, which could run code"),
        (cut, "cut short or damaged"),
        (b"", "cut short or damaged"),
    ):
        file.write_bytes(data)
        text = refused(lambda: read_checkpoint(copied), message)
        # torch's own text tells its readers to switch the check off.
        assert "weights_only" not in text and "trust" not in text
    assert not (copied / "ran").exists()


def test_a_file_that_cannot_be_opened_says_why(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    real = builtins.open

    def closed(file: Any, *args: Any, **kwargs: Any) -> Any:
        if str(file).endswith("llm/model.safetensors"):
            raise PermissionError(13, "Permission denied", str(file))
        return real(file, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", closed)
    refused(lambda: read_checkpoint(copied), r"model\.safetensors: cannot be read: Permission")


def test_resizing_keeps_the_check(copied: Path, tmp_path: Path) -> None:
    spoil(copied, "vision_tower", "vision_model.post_layernorm.bias", INF)
    refused(lambda: resize_checkpoint(copied, tmp_path / "out", image_size=168), "is not finite")
    assert not any((tmp_path / "out").iterdir())


def test_a_whole_copy_passes(copied: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(copied, tmp_path / "again"))
    assert inspect(again)["parameters"] == inspect(copied)["parameters"]
