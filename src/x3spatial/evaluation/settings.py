"""The settings that decide a run's answers, and the check that stored answers have the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError, flag
from x3spatial.models import registry
from x3spatial.settings import Difference, differences, real_path

_NAMES = {
    "model": "--model",
    "describe": "--model (its files or options)",
    "convention": "--convention (or the model's own)",
    "data_sha256": "the content of TASKS",
    "max_new_tokens": "--max-new-tokens",
    "seed": "--seed",
    "image_folder": "--image-folder",
}
"""Setting → its name in messages. These settings affect answers; all others may change between runs."""

_DESCRIBED = {"fingerprint": "the content of --model", "versions": "the installed version of"}
"""Parts of a model's description that have a name of their own in messages."""


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """The settings of a run, as its journal and results file record them."""

    values: Mapping[str, Any]
    """A value for each key of ``_NAMES``."""
    base: str | None
    """The folder of relative image paths without ``--image-folder``; None if the records have no relative
    path, so that the option decides nothing."""

    def changes(self, stored: Mapping[str, Any]) -> list[str]:
        """What differs from ``stored``, in the user's words: ``--seed was 0, is 3``."""
        was, now = self._meaning(stored), self._meaning(self.values)
        found = differences(was, now)
        model = any(d.keys == ("model",) for d in found)
        # The descriptions of different models always differ.
        kept = [d for d in found if not (model and d.keys[0] == "describe")]
        return [f"{self._name(d)} {_spelt(d, stored, self.values)}" for d in kept]

    def check(self, output_json: Path, stored: Mapping[str, Any], what: str) -> None:
        """Check that stored answers were produced with the same settings.

        Raises:
            UserError: a setting differs; the message names it with both values.
        """
        changes = self.changes(stored)
        if changes:
            raise UserError(
                f"--out {output_json}: holds {what} with other settings: {'; '.join(changes)};"
                " write elsewhere, or use --fresh to discard it"
            )

    def _meaning(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: values.get(name) for name in _NAMES}
        found["model"] = model_identity(self.values if same_model(values, self.values) else values)
        folder = found["image_folder"]
        if self.base is None:
            found["image_folder"] = None
        elif folder in (None, "/"):  # both mean the default, see ImagePaths
            found["image_folder"] = self.base
        return found

    def _name(self, difference: Difference) -> str:
        first, *inner = difference.keys
        if first != "describe" or not inner:
            return _NAMES[first]
        known = next((_DESCRIBED[key] for key in inner if key in _DESCRIBED), None)
        if known is not None:
            return known if inner[-1] in _DESCRIBED else f"{known} {inner[-1]}"
        option = next((flag(key) for key in inner if key in self._options()), None)
        return option or f"{_NAMES['describe']} {' '.join(inner)}"

    def _options(self) -> frozenset[str]:
        try:
            return registry.own_options(str(self.values["model"]))
        except UserError:  # a model object, which has no options
            return frozenset()


def model_identity(values: Mapping[str, Any]) -> str:
    """What identifies a model among stored settings: its kind, and its folder or name."""
    spec = str(values.get("model"))
    try:
        kind, argument = registry.split_spec(spec)
    except UserError:
        return spec
    return kind if argument is None else f"{kind}:{real_path(argument)}"


def same_model(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the settings of two runs name the same model: in any spelling, or the same files elsewhere."""
    if model_identity(one) == model_identity(other):
        return True
    prints = [(v.get("describe") or {}).get("fingerprint") for v in (one, other)]
    kinds = [str(v.get("model")).partition(":")[0] for v in (one, other)]
    return prints[0] is not None and prints[0] == prints[1] and kinds[0] == kinds[1]


def _spelt(difference: Difference, stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Both values as the user spelt them."""
    if len(difference.keys) == 1:
        (name,) = difference.keys
        return str(Difference(difference.keys, stored.get(name), now.get(name)))
    return str(difference)
