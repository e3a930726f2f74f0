"""Tokenizer files in the spelling of transformers 4.49, which RoboRefer's own code reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from helpers.paths import FIXTURES, REPOSITORY
from x3spatial.models.roborefer.chat import render_chat
from x3spatial.models.roborefer.checkpoint import read_checkpoint
from x3spatial.models.roborefer.layout import SHIPPED, locate
from x3spatial.models.roborefer.processing import load_processor
from x3spatial.models.roborefer.resize import resize_checkpoint
from x3spatial.models.roborefer.tiny import make_tiny, small_tokenizer
from x3spatial.models.roborefer.tokenizer_files import write_tokenizer

PUBLISHED = FIXTURES / "roborefer-tiny" / "checkpoint" / "llm"
"""Written by upstream's own code with transformers 4.49."""
TEXTS = (
    "<|im_start|>user\n<image>\n<image>\nWhere is it? [(0.412, 0.733)] or NOT_VISIBLE<|im_end|>\n",
    "Grüße 你好 e\u0301 \t\n\n x",
    "<depth> <vila/sentinel>[PAD][BOS] a",
)


def _json(file: Path) -> Any:
    return json.loads(file.read_text())


def test_published_files_come_back_field_by_field(tmp_path: Path, processor: Any) -> None:
    write_tokenizer(processor.tokenizer, tmp_path)
    names = {"vocab.json", "merges.txt", "added_tokens.json"}
    for name in names:
        assert (tmp_path / name).read_bytes() == (PUBLISHED / name).read_bytes(), name
    objects = {"special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"}
    for name in objects:
        found, wanted = _json(tmp_path / name), _json(PUBLISHED / name)
        # The template is worded differently; the texts are compared below.
        for value in (found, wanted):
            value.pop("chat_template", None)
        assert found == wanted, name
    assert {file.name for file in tmp_path.iterdir()} == names | objects


def _tiny(folder: Path) -> Path:
    return make_tiny(folder / "tiny")


def _resized(folder: Path) -> Path:
    return resize_checkpoint(
        make_tiny(folder / "base", depth=False), folder / "out", image_size=168
    )


def _tuned(folder: Path) -> Path:
    from training.common import options, write_data
    from x3spatial.training.sft import main

    data = write_data(folder / "data.json", ["t1_visible"])
    base = make_tiny(folder / "base", depth=False)
    main(options(data, folder / "run", model_name_or_path=base, max_steps=1))
    return folder / "run" / "checkpoint-1"


def _shipped(folder: Path) -> Path:
    return locate(Path(SHIPPED))


@pytest.mark.parametrize("write", [_tiny, _resized, _tuned, _shipped])
def test_every_checkpoint_has_the_old_spelling(write: Any, tmp_path: Path) -> None:
    folder = write(tmp_path)
    llm = folder / "llm"
    config = _json(llm / "tokenizer_config.json")
    # Fields of transformers 5; 4.49 fails on a list of extra_special_tokens and without a template.
    assert not {"backend", "is_local", "local_files_only", "add_prefix_space"} & set(config)
    assert config["extra_special_tokens"] == {}
    assert config["additional_special_tokens"] == ["<|im_start|>", "<|im_end|>"]
    assert config["tokenizer_class"] == "Qwen2Tokenizer"
    assert config["padding_side"] == "right"
    assert isinstance(config["chat_template"], str)
    assert not (llm / "chat_template.jinja").exists()
    backend = _json(llm / "tokenizer.json")
    assert backend["truncation"] is None and backend["padding"] is None
    assert config["added_tokens_decoder"] == {
        str(token["id"]): {name: value for name, value in token.items() if name != "id"}
        for token in backend["added_tokens"]
    }
    assert _json(llm / "vocab.json") == backend["model"]["vocab"]
    assert _json(llm / "added_tokens.json") == {
        token["content"]: token["id"] for token in backend["added_tokens"]
    }
    merges = (llm / "merges.txt").read_text().splitlines()
    assert merges[0] == "#version: 0.2"
    assert [line.split(" ") for line in merges[1:]] == backend["model"]["merges"]
    roles = _json(llm / "special_tokens_map.json")
    for role, text in (("bos_token", "[BOS]"), ("eos_token", "<|im_end|>"), ("pad_token", "[PAD]")):
        assert config[role] == roles[role]["content"] == text
    assert config["unk_token"] is None and "unk_token" not in roles


def test_both_spellings_are_the_same_tokenizer(tmp_path: Path) -> None:
    """What transformers 5 saves, and what is written here, read by the installed version."""
    from transformers import AutoTokenizer

    made = small_tokenizer(phrases=("You are a helpful assistant",))
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    made.save_pretrained(tmp_path / "new")
    write_tokenizer(made, tmp_path / "old")
    one, other = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("new", "old"))
    assert len(one) == len(other) == len(made)
    for text in TEXTS:
        ids = one(text)["input_ids"]
        assert other(text)["input_ids"] == ids
        for skip in (False, True):
            assert one.decode(ids, skip_special_tokens=skip) == other.decode(
                ids, skip_special_tokens=skip
            )
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    for tokenizer in (one, other, AutoTokenizer.from_pretrained(PUBLISHED)):
        for start in (False, True):
            made_of = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=start
            )
            assert made_of == render_chat(messages, add_generation_prompt=start)


def test_settings_of_the_last_call_are_not_stored(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    tokenizer(["a", "a b c d"], padding=True, truncation=True, max_length=2)
    write_tokenizer(tokenizer, tmp_path)
    backend = _json(tmp_path / "tokenizer.json")
    assert backend["truncation"] is None and backend["padding"] is None


def test_tokens_with_a_role_of_their_own(tmp_path: Path) -> None:
    """As in checkpoints of other families: extra_special_tokens is an object in the old spelling."""
    config = _json(PUBLISHED / "tokenizer_config.json")
    config["extra_special_tokens"] = {"image_token": "<image>"}
    for file in PUBLISHED.iterdir():
        if file.suffix in (".json", ".txt"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer.from_pretrained(tmp_path)
    write_tokenizer(tokenizer, tmp_path)
    again = _json(tmp_path / "tokenizer_config.json")
    assert again["extra_special_tokens"] == {"image_token": "<image>"}


def test_old_files_alone_are_enough(tmp_path: Path) -> None:
    """vocab.json, merges.txt and the added tokens say all that tokenizer.json does."""
    checkpoint = make_tiny(tmp_path / "tiny")
    whole = load_processor(read_checkpoint(checkpoint))
    (checkpoint / "llm" / "tokenizer.json").unlink()
    without = load_processor(read_checkpoint(checkpoint))
    for text in TEXTS:
        assert whole.tokenize(text) == without.tokenize(text)


@pytest.mark.roborefer
def test_roborefers_own_code_loads_and_agrees() -> None:
    """All kinds of checkpoints; see ``make check-roborefer``."""
    clone, python = os.environ.get("X3_ROBOREFER"), os.environ.get("X3_ROBOREFER_PYTHON")
    if not clone or not python:
        pytest.skip(
            "set X3_ROBOREFER (a clone of Zhoues/RoboRefer) and X3_ROBOREFER_PYTHON (an interpreter with"
            " requirements/roborefer.txt), or run: make check-roborefer ROBOREFER=CLONE"
        )
    script = REPOSITORY / "scripts" / "check_roborefer.py"
    done = subprocess.run(
        [sys.executable, str(script), "--roborefer", clone, "--python", python],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
