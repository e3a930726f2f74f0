"""Tasks for lmms-eval: ``lmms-eval --include_path DIR --tasks x3_t1_multi``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from x3spatial.exporters.harnesses.base import HarnessFormat, code_text, metrics_of
from x3spatial.io.files import write_text

_CODE = "x3_lmms_eval.py"


class LmmsEval(HarnessFormat):
    """A YAML file and the functions it names, per task file.

    Only some of the harness' models take images between texts, so that images have no names in it.
    """

    name = "lmms-eval"
    describes = "task folders for `lmms-eval --include_path DIR`"
    places_names = False

    def complete(self, folder: Path, path: Path, settings: Mapping[str, Any]) -> None:
        """See ``HarnessFormat.complete``."""
        task = settings["task"]
        metrics = "".join(
            f"  - metric: {metric}\n"
            f"    aggregation: !function {_CODE.removesuffix('.py')}.{metric}\n"
            + ("" if better is None else f"    higher_is_better: {str(better).lower()}\n")
            for metric, better in metrics_of(settings["convention"]).items()
        )
        text = code_text("lmms_eval.yaml").format(task=task, metrics=metrics)
        write_text(folder / f"{task}.yaml", text)
        write_text(folder / _CODE, code_text(_CODE))
