"""Folders and names that can and cannot be asked: one line for each mistake, and no code of a folder run."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.hf_common import ask, folder, mixed, picture, question
from helpers.tiny_vlms import load_file, make_text_model, make_vlm, save_file, torch
from x3spatial.errors import UserError
from x3spatial.models.huggingface.model import HuggingFaceModel


def refused(path: Path | str, message: str, **options: Any) -> None:
    """Refused before anything is asked, in one line."""
    with pytest.raises(UserError, match=message) as caught:
        HuggingFaceModel(path, **{"convention": "unit", **options})
    assert "\n" not in str(caught.value)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A model to damage."""
    return Path(shutil.copytree(folder("llava"), tmp_path / "model"))


def edit(file: Path, **values: Any) -> None:
    kept = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({name: value for name, value in kept.items() if value is not None}))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", r"config\.json is missing; expected a model of transformers"),
        ("model.safetensors", r"model: weights are missing; expected model\.safetensors"),
        ("preprocessor_config.json", r"model: preprocessor_config\.json is missing; expected"),
        ("tokenizer.json", r"the tokenizer's files are missing; expected tokenizer\.json"),
        ("chat_template.jinja", r"no chat template; put chat_template\.jinja of the model"),
    ],
)
def test_a_missing_file_is_named(copied: Path, missing: str, message: str) -> None:
    (copied / missing).unlink()
    refused(copied, message)


def test_damaged_files_are_named(copied: Path) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    refused(copied, r"model\.safetensors: \d+ bytes, expected \d+ \(cut short or damaged\)")
    (copied / "config.json").write_text("{")
    refused(copied, r"config\.json: ")


def test_weights_of_another_model(copied: Path) -> None:
    shutil.copy(folder("idefics3") / "model.safetensors", copied)
    model = HuggingFaceModel(copied, convention="unit")
    with pytest.raises(UserError, match=r"\d+ weights are missing or of another size, .* first;"):
        model.prepare([])


def test_models_that_take_no_images_or_are_not_known(copied: Path, tmp_path: Path) -> None:
    text = make_text_model(tmp_path / "text")
    refused(text, r"model type 'qwen2' does not answer questions about images")
    config = copied / "config.json"
    edit(config, model_type="odd_llava")
    refused(copied, r"transformers .* does not know model type 'odd_llava'; a newer version may")
    edit(config, model_type="roborefer")
    refused(copied, r"a RoboRefer checkpoint; name it roborefer:")
    edit(config, model_type="llava", is_encoder_decoder=True)
    refused(copied, r"an encoder-decoder model")
    edit(config, model_type=None, is_encoder_decoder=None)
    refused(copied, r"field 'model_type' is missing")


def test_a_template_without_images(copied: Path) -> None:
    template = "{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}"
    (copied / "chat_template.jinja").write_text(template)
    refused(copied, r"chat template (cannot ask about an image: .*<image>|leaves images out)")
    (copied / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    refused(copied, r"cannot ask about an image: no")


def test_the_extra_for_torchvision_is_named(copied: Path) -> None:
    try:
        import torchvision  # noqa: F401
    except ImportError:
        edit(copied / "preprocessor_config.json", image_processor_type="Llama4ImageProcessor")
        refused(copied, r'needs torchvision; run: pip install "x3spatial\[hf-torchvision\]"')


CODE = """
from pathlib import Path
from transformers import LlavaConfig, LlavaForConditionalGeneration

Path({marker!r}).touch()

class OddConfig(LlavaConfig):
    model_type = "odd_llava"

class OddModel(LlavaForConditionalGeneration):
    config_class = OddConfig
"""


def test_code_of_a_folder_runs_only_if_trusted(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "code_ran"
    (copied / "odd.py").write_text(CODE.format(marker=str(marker)))
    auto = {"AutoConfig": "odd.OddConfig", "AutoModelForImageTextToText": "odd.OddModel"}
    edit(copied / "config.json", model_type="odd_llava", auto_map=auto)
    refused(copied, r"model type 'odd_llava' needs code .* give --trust-remote-code")
    assert not marker.exists()
    modules = str(tmp_path / "modules")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", modules)
    monkeypatch.syspath_prepend(modules)
    # Names as the class has them: transformers renames old ones by the type, which it does not know.
    weights = load_file(copied / "model.safetensors")
    renamed = {name.replace("language_model.lm_head", "lm_head"): w for name, w in weights.items()}
    save_file(renamed, copied / "model.safetensors", {"format": "pt"})
    model = HuggingFaceModel(copied, convention="unit", trust_remote_code=True, max_new_tokens=6)
    plain = HuggingFaceModel(folder("llava"), convention="unit", max_new_tokens=6)
    assert ask(model, mixed(), 5) == ask(plain, mixed(), 5)
    assert marker.exists()
    assert model.describe()["trust_remote_code"] is True
    before = model.describe()["fingerprint"]
    (copied / "odd.py").write_text(CODE.format(marker=str(marker)) + "\n")
    again = HuggingFaceModel(copied, convention="unit", trust_remote_code=True)
    assert again.describe()["fingerprint"] != before
    edit(copied / "config.json", auto_map={"AutoModelForCausalLM": "odd.OddModel"})
    refused(copied, r"defines AutoModelForCausalLM; expected Auto", trust_remote_code=True)


def test_a_known_type_never_runs_code_unasked(copied: Path, tmp_path: Path) -> None:
    """The folder offers code for everything; transformers' own is used."""
    marker = tmp_path / "code_ran"
    (copied / "odd.py").write_text(CODE.format(marker=str(marker)))
    auto = {"AutoConfig": "odd.OddConfig", "AutoModelForImageTextToText": "odd.OddModel"}
    edit(copied / "config.json", auto_map=auto)
    auto = {"AutoProcessor": "odd.OddConfig", "AutoImageProcessor": "odd.OddConfig"}
    for name in ("processor_config.json", "preprocessor_config.json"):
        edit(copied / name, auto_map=auto)
    edit(copied / "tokenizer_config.json", auto_map={"AutoTokenizer": ["odd.OddConfig", None]})
    model = HuggingFaceModel(copied, convention="unit", max_new_tokens=3)
    model.answer([question("q", picture(96, 64))], None)
    assert not marker.exists()


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


def test_pickled_weights_are_read_as_data_only(copied: Path, tmp_path: Path) -> None:
    plain = HuggingFaceModel(folder("llava"), convention="unit", max_new_tokens=6)
    weights = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    torch.save(weights, copied / "pytorch_model.bin")
    pickled = HuggingFaceModel(copied, convention="unit", max_new_tokens=6)
    assert ask(pickled, mixed(), 5) == ask(plain, mixed(), 5)
    marker = tmp_path / "code_ran"
    torch.save({**weights, "odd": _Payload(marker)}, copied / "pytorch_model.bin")
    refused(copied, r"pytorch_model\.bin: cannot be read as plain tensors: ")
    (copied / "pytorch_model.bin").write_bytes(pickle.dumps(_Payload(marker)))
    refused(copied, r"pytorch_model\.bin: cannot be read as plain tensors: ")
    assert not marker.exists()


def test_safetensors_are_preferred(copied: Path) -> None:
    (copied / "pytorch_model.bin").write_bytes(b"no weights")
    model = HuggingFaceModel(copied, convention="unit", max_new_tokens=1)
    assert len(model.answer([question("q", picture(96, 64))], None)) == 1


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub that cannot be reached, and its cache."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return cache


def test_a_name_that_is_not_cached(hub: Path, tmp_path: Path) -> None:
    refused(
        "org/none", r"hf:org/none: no such folder, not in the hub's cache, and .* cannot be reached"
    )
    refused("not a name", r"hf:not a name: no such folder, and no name on the hub \(ORG/NAME\)")
    refused(tmp_path / "none", r"none: no such folder$")
    refused("runs/a/b", r"hf:runs/a/b: no such folder$")


def test_a_name_that_is_cached(hub: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = hub / "models--org--seer"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    make_vlm("llava", place / "snapshots" / commit)
    model = HuggingFaceModel("org/seer", convention="unit", max_new_tokens=6)
    described = model.describe()
    assert (model.name, described["model"], described["revision"]) == ("seer", "org/seer", commit)
    plain = HuggingFaceModel(folder("llava"), convention="unit", max_new_tokens=6)
    assert ask(model, mixed(), 5) == ask(plain, mixed(), 5)


def test_fingerprints_tell_models_apart(copied: Path, tmp_path: Path) -> None:
    def fingerprint(path: Path) -> Any:
        return HuggingFaceModel(path, convention="unit").describe()["fingerprint"]

    prints = [fingerprint(folder("llava")), fingerprint(make_vlm("llava", tmp_path / "b", seed=1))]
    assert fingerprint(copied) == prints[0]
    template = copied / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert len({*prints, fingerprint(copied)}) == 3


@pytest.mark.parametrize("family", ["qwen2_5_vl", "llava"])
def test_older_and_newer_layouts_of_the_processor(family: str, tmp_path: Path) -> None:
    """All in one file; or the class beside the images' settings and the template with the tokenizer's."""
    newer = Path(shutil.copytree(folder(family), tmp_path / "newer"))
    images = json.loads((newer / "preprocessor_config.json").read_text())
    (newer / "preprocessor_config.json").unlink()
    edit(newer / "processor_config.json", image_processor=images)
    older = Path(shutil.copytree(folder(family), tmp_path / "older"))
    template = (older / "chat_template.jinja").read_text()
    (older / "chat_template.jinja").unlink()
    edit(older / "tokenizer_config.json", chat_template=template)
    settings = json.loads((older / "processor_config.json").read_text())
    if set(settings) == {"processor_class"}:
        (older / "processor_config.json").unlink()
    answers = [
        ask(HuggingFaceModel(path, convention="unit", max_new_tokens=6), mixed(), 5)
        for path in (folder(family), newer, older)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_a_config_that_makes_no_model(copied: Path) -> None:
    edit(copied / "config.json", text_config={"model_type": "no_such_type"})
    refused(copied, r"config\.json: cannot be used: .*no_such_type.*$")


def test_what_cannot_be_loaded_stops_the_run(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is loaded in the background; a second try per sample would only repeat the wait."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("a kernel is missing\nmore of it")

    model = HuggingFaceModel(copied, convention="unit")
    monkeypatch.setattr("transformers.LlavaForConditionalGeneration.from_pretrained", fail)
    with pytest.raises(UserError, match=r"model: cannot be loaded: a kernel is missing$"):
        model.prepare([])


def test_weights_that_do_not_fit_in_memory(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    model = HuggingFaceModel(copied, convention="unit")
    monkeypatch.setattr("transformers.LlavaForConditionalGeneration.from_pretrained", fail)
    with pytest.raises(
        UserError, match=r"--device cpu: the weights of .* do not fit in its memory"
    ):
        model.prepare([])


def test_weights_that_are_not_finite(copied: Path) -> None:
    """Refused when the weights are loaded, with the tensor's name in the file."""
    file = copied / "model.safetensors"
    weights = load_file(file)
    name = sorted(name for name, value in weights.items() if value.is_floating_point())[3]
    for value, dtype in ((float("nan"), torch.float32), (float("inf"), torch.bfloat16)):
        spoilt = {key: tensor.to(dtype) for key, tensor in weights.items()}
        spoilt[name].view(-1)[-1] = value
        save_file(spoilt, file, {"format": "pt"})
        model = HuggingFaceModel(copied, convention="unit")
        with pytest.raises(UserError, match=rf"model\.safetensors: tensor '{name}' is not finite"):
            ask(model, [question("q", picture(96, 64))], 1)


def test_layers_are_counted_before_a_model_is_built(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    for part in ("text_config", "vision_config"):
        edit(copied / "config.json", **{part: {**config[part], "num_hidden_layers": 10**9}})
        refused(copied, r"config\.json: field 'num_hidden_layers' is 1000000000, but the weights")
        edit(copied / "config.json", **{part: config[part]})


def test_images_scaled_by_nothing(copied: Path) -> None:
    for values, message in (
        ({"image_std": [0, 0.5, 0.5]}, r"image_std is .* expected finite numbers above 0"),
        ({"image_std": [float("nan")] * 3}, "image_std is .*nan"),
        ({"image_mean": [float("inf")] * 3}, "image_mean is .*inf"),
    ):
        before = (copied / "preprocessor_config.json").read_text()
        edit(copied / "preprocessor_config.json", **values)
        refused(copied, message)
        (copied / "preprocessor_config.json").write_text(before)


def test_an_empty_vocabulary(copied: Path) -> None:
    whole = json.loads((copied / "tokenizer.json").read_text())
    model = {**whole["model"], "vocab": {}, "merges": []}
    (copied / "tokenizer.json").write_text(json.dumps({**whole, "model": model}))
    refused(copied, "no token for .* plain characters|cannot be read")


@pytest.mark.parametrize("levels", [40, 500, 100_000])
def test_deep_json(copied: Path, levels: int) -> None:
    text = (copied / "config.json").read_text().rstrip().removesuffix("}")
    (copied / "config.json").write_text(text + ', "x": ' + "[" * levels + "]" * levels + "}")
    refused(copied, r"config\.json: (nested deeper than 32 levels|.*nested too deep)")
