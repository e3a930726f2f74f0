"""Layouts: what is read, what is written back, and what is refused in one line."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.roborefer_fixture import CHECKPOINT, FIXTURE, torch
from x3spatial.errors import UserError
from x3spatial.models.roborefer import load_model, load_processor, read_checkpoint
from x3spatial.models.roborefer.saving import save_hf, save_upstream
from x3spatial.models.roborefer.tiny import SIZES, make_tiny

from safetensors.torch import load_file, save_file  # isort: skip


def tensors(folder: Path) -> dict[str, Any]:
    """Every tensor of a published layout by folder and name."""
    return {
        f"{file.parent.name}/{name}": value
        for file in sorted(folder.glob("*/model*.safetensors"))
        for name, value in load_file(file).items()
    }


def same_bytes(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value.dtype == right[name].dtype, name
        assert value.shape == right[name].shape, name
        assert torch.equal(value.view(torch.uint8), right[name].view(torch.uint8)), name


def edit(file: Path, **changes: Any) -> None:
    """Change fields of a json file; None removes one."""
    value = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))


def logits(folder: Path, **options: Any) -> Any:
    model = load_model(folder, **options)
    processor = load_processor(folder)
    view = FIXTURE / "images" / "view_a.png"
    inputs = processor(images=view, text="<image>\nWhere is it?")
    with torch.no_grad():
        return model(**inputs).logits


def test_round_trip_of_the_fixture(tmp_path: Path) -> None:
    out = save_upstream(load_model(CHECKPOINT), load_processor(CHECKPOINT), tmp_path / "out")
    same_bytes(tensors(CHECKPOINT), tensors(out))
    for name in ("llm", "vision_tower", "mm_projector", "depth_tower", "depth_projector"):
        stored = json.loads((CHECKPOINT / name / "config.json").read_text())
        written = json.loads((out / name / "config.json").read_text())
        assert {k: written.get(k) for k in stored} == stored, name
    stored = json.loads((CHECKPOINT / "config.json").read_text())
    written = json.loads((out / "config.json").read_text())
    parts = [k for k in stored if k.endswith("_cfg")]
    assert {k: v for k, v in written.items() if k not in parts} == {
        k: v for k, v in stored.items() if k not in parts
    }
    for part in parts:  # upstream only looks for their presence and llm_cfg.vocab_size
        assert {k: written[part].get(k) for k in stored[part]} == stored[part]
    assert json.loads((out / "llm/generation_config.json").read_text()) == json.loads(
        (CHECKPOINT / "llm/generation_config.json").read_text()
    )
    assert torch.equal(logits(CHECKPOINT), logits(out))


@pytest.mark.parametrize("depth", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_round_trips_of_every_kind(tmp_path: Path, depth: bool, tied: bool, dtype: str) -> None:
    first = make_tiny(out=tmp_path / "a", depth=depth, tied=tied, dtype=dtype)
    assert ("llm/lm_head.weight" in tensors(first)) is not tied
    model, processor = load_model(first), load_processor(first)
    assert model.dtype == getattr(torch, dtype)
    second = save_upstream(model, processor, tmp_path / "b")
    same_bytes(tensors(first), tensors(second))
    own = save_hf(load_model(second), processor, tmp_path / "own")
    third = save_upstream(load_model(own), load_processor(own), tmp_path / "c")
    same_bytes(tensors(first), tensors(third))


def test_shards_and_their_index(tmp_path: Path) -> None:
    whole = make_tiny(out=tmp_path / "whole")
    model, processor = load_model(whole), load_processor(whole)
    out = save_upstream(model, processor, tmp_path / "sharded", max_shard_size="150KB")
    assert len(list((out / "llm").glob("model-*.safetensors"))) > 1
    assert (out / "llm" / "model.safetensors.index.json").is_file()
    same_bytes(tensors(whole), tensors(out))
    assert torch.equal(logits(whole), logits(out))
    save_upstream(model, processor, out)  # again, now whole: no shard of before may stay
    assert [f.name for f in (out / "llm").glob("model*")] == ["model.safetensors"]


def test_one_level_down_in_model(tmp_path: Path) -> None:
    shutil.copytree(CHECKPOINT, tmp_path / "run" / "model")
    edit_free = tmp_path / "run" / "config.json"
    edit_free.write_text("{}")  # upstream looks into model/ first
    assert read_checkpoint(tmp_path / "run").layout.root == tmp_path / "run" / "model"
    assert torch.equal(logits(tmp_path / "run"), logits(CHECKPOINT))


def test_bin_files_are_read_as_data_only(copied: Path) -> None:
    for name in ("llm", "mm_projector"):
        file = copied / name / "model.safetensors"
        torch.save(load_file(file), copied / name / "pytorch_model.bin")
        file.unlink()
    assert torch.equal(logits(copied), logits(CHECKPOINT))


def test_a_pickle_that_runs_code_is_refused(copied: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path(copied / "ran").touch, ())

    (copied / "llm" / "model.safetensors").unlink()
    (copied / "llm" / "pytorch_model.bin").write_bytes(pickle.dumps({"w": Evil()}))
    with pytest.raises(UserError, match=r"pytorch_model.bin: cannot be read as plain tensors"):
        read_checkpoint(copied)
    assert not (copied / "ran").exists()


def test_code_in_a_checkpoint_is_never_run(copied: Path) -> None:
    (copied / "evil.py").write_text(f"open({str(copied / 'ran')!r}, 'w')\n")
    (copied / "llm" / "evil.py").write_text(f"open({str(copied / 'ran')!r}, 'w')\n")
    auto_map = {"AutoConfig": "evil.X", "AutoModelForCausalLM": "evil.X"}
    edit(copied / "config.json", auto_map=auto_map)
    edit(copied / "llm" / "config.json", auto_map=auto_map)
    edit(copied / "llm" / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.X", None]})
    load_model(copied)
    load_processor(copied)
    assert not (copied / "ran").exists()


def test_depth_off_ignores_the_depth_settings(copied: Path) -> None:
    """A folder saved with depth off has no depth folders, but still the two dictionaries."""
    shutil.rmtree(copied / "depth_tower")
    shutil.rmtree(copied / "depth_projector")
    edit(copied / "config.json", enable_depth=False, use_depth_tower=False)
    model = load_model(copied)
    assert list(model.parts()) == ["vision_tower", "mm_projector", "llm"]
    assert torch.equal(logits(copied), logits(CHECKPOINT))
    with pytest.raises(ValueError, match="no depth projector"):
        model.get_depth_features(torch.zeros(1, 3, 112, 112))


def test_depth_through_the_rgb_tower(copied: Path) -> None:
    shutil.rmtree(copied / "depth_tower")
    edit(copied / "config.json", use_depth_tower=False)
    model, whole = load_model(copied), load_model(CHECKPOINT)
    assert whole.depth_projector is not None
    picture = torch.rand(1, 3, 112, 112) * 2 - 1
    with torch.no_grad():
        wanted = whole.depth_projector(whole.vision_tower(picture))
        assert torch.equal(model.get_depth_features(picture), wanted)


def test_a_tied_head_in_the_file_is_accepted(copied: Path) -> None:
    file = copied / "llm" / "model.safetensors"
    values = load_file(file)
    save_file({**values, "lm_head.weight": values["model.embed_tokens.weight"].clone()}, file)
    assert torch.equal(logits(copied), logits(CHECKPOINT))
    save_file({**values, "lm_head.weight": values["model.embed_tokens.weight"] + 1}, file)
    with pytest.raises(UserError, match=r"lm_head.weight differs from the embeddings"):
        load_model(copied)


def test_encoder_settings_may_be_json_text(copied: Path) -> None:
    text = json.dumps({"_target_": "llava.model.encoders.BasicImageEncoder", "end_tokens": "\n\n"})
    edit(copied / "config.json", image_encoder=text, depth_encoder=text)
    processor = load_processor(copied)
    assert processor.expand([513])[0] == [513] * 9 + [505]


def test_generation_settings_are_kept_but_not_used(copied: Path, tmp_path: Path) -> None:
    file = copied / "llm" / "generation_config.json"
    edit(file, repetition_penalty=1.05, do_sample=True, temperature=0.7)
    model = load_model(copied)
    assert model.generation_config.do_sample is False
    assert model.generation_config.repetition_penalty == 1.0
    out = save_upstream(model, load_processor(copied), tmp_path / "out")
    written = json.loads((out / "llm" / "generation_config.json").read_text())
    assert written == json.loads(file.read_text())


def _remove(name: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def _edit(name: str, **changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / name, **changes)


def _tensor(part: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        values = load_file(folder / part / "model.safetensors")
        change(values)
        save_file(values, folder / part / "model.safetensors")

    return rewrite


def _cut(folder: Path) -> None:
    file = folder / "vision_tower" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _lost_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "llm" / "model.safetensors").unlink()
    (folder / "llm" / "model.safetensors.index.json").write_text(json.dumps(index))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (_remove("config.json"), "config.json is missing, here and in model/"),
    "no llm": (_remove("llm"), "folder llm/ is missing"),
    "no tower": (_remove("vision_tower"), "folder vision_tower/ is missing"),
    "no depth projector": (_remove("depth_projector"), "folder depth_projector/ is missing"),
    "no part config": (_remove("mm_projector/config.json"), "mm_projector: config.json is missing"),
    "no weights": (_remove("llm/model.safetensors"), "llm: weights are missing; expected model.safe"),
    "lost shard": (_lost_shard, "shard model-00001-of-00002.safetensors is missing"),
    "cut weights": (_cut, r"vision_tower/model.safetensors: \d+ bytes, expected \d+"),
    "other model": (_edit("config.json", model_type="llava"), "model_type is 'llava'; expected"),
    "no part dictionary": (_edit("config.json", llm_cfg=None), "field 'llm_cfg' is missing"),
    "flag": (_edit("config.json", enable_depth="yes"), "field 'enable_depth' is 'yes'; expected true"),
    "s2": (_edit("config.json", dynamic_s2=True), "dynamic_s2 is on; expected false"),
    "patch feature": (
        _edit("config.json", mm_vision_select_feature="patch"),
        "field 'mm_vision_select_feature' is 'patch'; expected 'cls_patch'",
    ),
    "no select layer": (
        _edit("config.json", mm_vision_select_layer=None),
        "field 'mm_vision_select_layer' is missing; expected an integer",
    ),
    "select layer": (
        _edit("config.json", mm_vision_select_layer=-9),
        "field 'mm_vision_select_layer' is -9; expected a hidden state",
    ),
    "aspect": (
        _edit("config.json", image_aspect_ratio="anyres"),
        "image_aspect_ratio 'anyres' is not supported; expected one of resize",
    ),
    "encoder": (
        _edit("config.json", image_encoder={"_target_": "x.TSPEncoder"}),
        "image_encoder 'TSPEncoder' is not supported; expected 'BasicImageEncoder'",
    ),
    "projector type": (
        _edit("mm_projector/config.json", mm_projector_type="mlp2x_gelu"),
        "mm_projector_type 'mlp2x_gelu' is not supported; expected 'mlp_downsample_3x3_fix'",
    ),
    "tower type": (
        _edit("vision_tower/config.json", model_type="clip_vision_model"),
        "model_type 'clip_vision_model' is not supported; expected 'siglip_vision_model'",
    ),
    "llm type": (_edit("llm/config.json", model_type="llama"), "model_type 'llama' is not supported"),
    "no field": (
        _edit("llm/config.json", hidden_size=None),
        "llm/config.json: field 'hidden_size' is missing; expected a positive integer",
    ),
    "no tensor": (
        _tensor("llm", lambda values: values.pop("model.norm.weight")),
        r"tensor 'model.norm.weight' is missing; expected shape \[32\]",
    ),
    "shape": (
        _edit("vision_tower/config.json", intermediate_size=60),
        r"mlp.fc1.* has shape \[50.*\]; expected \[60.*\] by the config.json",
    ),
    "stray tensor": (
        _tensor("mm_projector", lambda values: values.update(x=torch.zeros(1))),
        "tensor 'x' has no place in a mm_projector",
    ),
    "no tokenizer": (
        lambda folder: [_remove(f"llm/{n}")(folder) for n in ("tokenizer.json", "vocab.json")],
        "vocab.json is missing; expected tokenizer.json, or vocab.json and merges.txt",
    ),
    "image size": (
        _edit("vision_tower/preprocessor_config.json", size={"height": 224, "width": 224}),
        "expected 112 x 112, the tower's image_size",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(DAMAGES))
def test_a_damaged_folder_gives_one_line(copied: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    damage(copied)
    with pytest.raises(UserError, match=message) as caught:
        load_processor(copied)
    assert "\n" not in str(caught.value)
    assert str(copied) in str(caught.value)


def test_a_tokenizer_without_image_token_is_refused(copied: Path) -> None:
    shutil.rmtree(copied / "llm")
    shutil.copytree(CHECKPOINT / "llm", copied / "llm")
    for name in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json"):
        file = copied / "llm" / name
        file.write_text(file.read_text().replace("<image>", "<other>"))
    with pytest.raises(UserError, match="the tokenizer has no token '<image>'"):
        load_processor(copied)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint folder"):
        read_checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_types_load_as_asked(dtype: str) -> None:
    model = load_model(CHECKPOINT, dtype=dtype)
    assert {p.dtype for p in model.parameters()} == {getattr(torch, dtype)}
    assert torch.isfinite(logits(CHECKPOINT, dtype=dtype)).all()


def test_unknown_type_or_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--dtype int8: expected auto"):
        load_model(CHECKPOINT, dtype="int8")
    with pytest.raises(UserError, match="--attention flash_attention_2: "):
        load_model(CHECKPOINT, attention="flash_attention_2", dtype="bfloat16")


def test_the_published_size_has_the_published_tensors() -> None:
    """Names and shapes of the tables of the real 2B model, written out by hand from them."""
    from x3spatial.models.roborefer.tensors import expected_shapes, stored_name
    from x3spatial.models.roborefer.tiny import make_config, small_tokenizer

    config = make_config(SIZES["2b"], small_tokenizer(), depth=True, tied=True)
    shapes = expected_shapes(config)
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        part = name.split(".")[0]
        found.setdefault(part, {})[stored_name(part, name)] = shape

    tower = {
        "vision_model.embeddings.patch_embedding.weight": (1152, 3, 14, 14),
        "vision_model.embeddings.patch_embedding.bias": (1152,),
        "vision_model.embeddings.position_embedding.weight": (1024, 1152),
        "vision_model.post_layernorm.weight": (1152,),
        "vision_model.post_layernorm.bias": (1152,),
    }
    for layer in range(27):
        at = f"vision_model.encoder.layers.{layer}"
        for norm in ("layer_norm1", "layer_norm2"):
            tower |= {f"{at}.{norm}.weight": (1152,), f"{at}.{norm}.bias": (1152,)}
        for name in "qkv":
            tower[f"{at}.self_attn.{name}_proj.weight"] = (1152, 1152)
            tower[f"{at}.self_attn.{name}_proj.bias"] = (1152,)
        tower |= {
            f"{at}.self_attn.out_proj.weight": (1152, 1152),
            f"{at}.self_attn.out_proj.bias": (1152,),
            f"{at}.mlp.fc1.weight": (4304, 1152),
            f"{at}.mlp.fc1.bias": (4304,),
            f"{at}.mlp.fc2.weight": (1152, 4304),
            f"{at}.mlp.fc2.bias": (1152,),
        }
    projector = {
        "layers.1.weight": (10368,), "layers.1.bias": (10368,),
        "layers.2.weight": (3456, 10368), "layers.2.bias": (3456,),
        "layers.4.weight": (3456,), "layers.4.bias": (3456,),
        "layers.5.weight": (1536, 3456), "layers.5.bias": (1536,),
        "layers.7.weight": (1536, 1536), "layers.7.bias": (1536,),
    }  # fmt: skip
    llm: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (151652, 1536),
        "model.norm.weight": (1536,),
    }
    for layer in range(28):
        at = f"model.layers.{layer}"
        llm |= {
            f"{at}.self_attn.q_proj.weight": (1536, 1536), f"{at}.self_attn.q_proj.bias": (1536,),
            f"{at}.self_attn.k_proj.weight": (256, 1536), f"{at}.self_attn.k_proj.bias": (256,),
            f"{at}.self_attn.v_proj.weight": (256, 1536), f"{at}.self_attn.v_proj.bias": (256,),
            f"{at}.self_attn.o_proj.weight": (1536, 1536),
            f"{at}.mlp.gate_proj.weight": (8960, 1536), f"{at}.mlp.up_proj.weight": (8960, 1536),
            f"{at}.mlp.down_proj.weight": (1536, 8960),
            f"{at}.input_layernorm.weight": (1536,),
            f"{at}.post_attention_layernorm.weight": (1536,),
        }  # fmt: skip
    assert found["llm"].pop("lm_head.weight") == (151652, 1536)  # tied: never in the file
    assert found == {
        "llm": llm, "vision_tower": tower, "depth_tower": tower,
        "mm_projector": projector, "depth_projector": projector,
    }  # fmt: skip
    count = {
        part: sum(torch.Size(s).numel() for s in named.values()) for part, named in found.items()
    }
    assert count["vision_tower"] == count["depth_tower"] == 413_327_088
    assert count["mm_projector"] == count["depth_projector"] == 43_533_696
    assert count["llm"] == 1_543_278_080
    assert config.tokens_per_image == 121
