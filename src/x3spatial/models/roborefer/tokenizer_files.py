"""Tokenizer files of the published layout, in the spelling of transformers 4.49, which upstream pins.

transformers 5 writes fewer files and other fields: a list under ``extra_special_tokens``, which 4.49 cannot
read, and the chat template in a file that 4.49 does not know. It reads the old spelling, so both versions
load what is written here, with the same ids and texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from x3spatial.io.files import write_json, write_text
from x3spatial.models.roborefer.chat import CHAT_TEMPLATE

_NAMED = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
)  # fmt: skip
_REQUIRED = ("bos_token", "eos_token", "pad_token", "unk_token")
"""Fields that a Qwen2 tokenizer always has; null stands for none."""
_TOKEN_FIELDS = ("content", "lstrip", "normalized", "rstrip", "single_word")
_DEFAULTS = {
    "clean_up_tokenization_spaces": False,
    "errors": "replace",
    "legacy": False,
    "split_special_tokens": False,
}


def write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write all files of a Qwen2 tokenizer into an existing folder; existing files are replaced.

    The chat template is always the one that training and inference use (``chat.render_chat``).
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # Settings of the last call, not of the tokenizer.
    backend["truncation"] = backend["padding"] = None
    write_json(folder / "tokenizer.json", backend)
    vocabulary: dict[str, int] = backend["model"]["vocab"]
    in_order = sorted(vocabulary.items(), key=lambda entry: entry[1])
    text = json.dumps(dict(in_order), ensure_ascii=False, separators=(",", ":"))
    write_text(folder / "vocab.json", text)
    lines = ("#version: 0.2", *(" ".join(pair) for pair in backend["model"]["merges"]))
    write_text(folder / "merges.txt", "".join(f"{line}\n" for line in lines))
    added: Mapping[int, Any] = tokenizer.added_tokens_decoder
    beyond = {str(token): number for number, token in added.items() if str(token) not in vocabulary}
    write_json(folder / "added_tokens.json", dict(sorted(beyond.items())))
    write_json(folder / "special_tokens_map.json", _special_tokens_map(tokenizer, added))
    write_json(folder / "tokenizer_config.json", _config(tokenizer, added))
    # It would have priority over the field in tokenizer_config.json.
    (folder / "chat_template.jinja").unlink(missing_ok=True)


def _special_tokens_map(tokenizer: Any, added: Mapping[int, Any]) -> dict[str, Any]:
    """The special tokens by role, as objects; those without a role as a list of texts."""
    by_text = {str(token): token for token in added.values()}
    values: dict[str, Any] = {
        role: _token(by_text[text], _TOKEN_FIELDS) if text in by_text else text
        for role, text in _roles(tokenizer).items()
    }
    extra = _extra(tokenizer)
    if extra:
        values["additional_special_tokens"] = extra
    return dict(sorted(values.items()))


def _config(tokenizer: Any, added: Mapping[int, Any]) -> dict[str, Any]:
    roles = _roles(tokenizer)
    stored: Mapping[str, Any] = tokenizer.init_kwargs
    values: dict[str, Any] = {
        **{name: stored.get(name, default) for name, default in _DEFAULTS.items()},
        **dict.fromkeys(_REQUIRED),
        **{role: text for role, text in roles.items() if role in _NAMED},
        "added_tokens_decoder": {
            str(number): _token(token, (*_TOKEN_FIELDS, "special"))
            for number, token in sorted(added.items())
        },
        "chat_template": CHAT_TEMPLATE,
        # Tokens with a role of their own; in transformers 5 also those without one, as a list.
        "extra_special_tokens": {role: text for role, text in roles.items() if role not in _NAMED},
        "model_max_length": tokenizer.model_max_length,
        "padding_side": "right",
        "tokenizer_class": "Qwen2Tokenizer",
    }
    extra = _extra(tokenizer)
    if extra:
        values["additional_special_tokens"] = extra
    return dict(sorted(values.items()))


def _roles(tokenizer: Any) -> dict[str, str]:
    return {
        role: str(text)
        for role, text in tokenizer.special_tokens_map.items()
        if isinstance(text, str)
    }


def _extra(tokenizer: Any) -> list[str]:
    return [str(token) for token in tokenizer.extra_special_tokens]


def _token(token: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(token, name) for name in fields}
