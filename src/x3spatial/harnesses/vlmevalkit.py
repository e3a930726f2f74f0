"""Our data set class of VLMEvalKit, and the start of its run (VLMEvalKit has no plug-ins)."""

from __future__ import annotations

import math
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import cv2  # noqa: F401 - before decord, whose copy of zlib breaks the PNG reader of an OpenCV loaded later

from x3spatial.errors import UserError
from x3spatial.exporters.harnesses.base import SETTINGS
from x3spatial.harnesses.benchmark import Exported, exported, interleaved

CHECKOUT = "VLMEVALKIT"
"""The variable with the folder of VLMEvalKit's code."""


def main(folder: Path) -> None:
    """Run VLMEvalKit's ``run.py`` with the data sets of an export; its options are those of this process.

    Raises:
        UserError: ``VLMEVALKIT`` does not name a checkout.
    """
    checkout = Path(os.environ.get(CHECKOUT, "")).absolute()
    script = checkout / "run.py"
    if CHECKOUT not in os.environ or not script.is_file():
        raise UserError(f"{CHECKOUT}: set it to the folder of VLMEvalKit's code, which has run.py")
    sys.path.insert(0, str(checkout))
    register(folder)
    sys.argv[0] = str(script)
    runpy.run_path(str(script), run_name="__main__")


def register(folder: Path) -> list[str]:
    """Make the data sets of an export known to VLMEvalKit; returns their names."""
    import vlmeval.dataset as registry

    sources = {
        source.task: source
        for source in (exported(file.parent) for file in sorted(folder.glob(f"*/{SETTINGS}")))
    }
    kind = _dataset_class(sources)
    registry.IMAGE_DATASET.insert(0, kind)
    registry.DATASET_CLASSES.insert(0, kind)
    registry.SUPPORTED_DATASETS.extend(sources)
    return list(sources)


def _dataset_class(sources: dict[str, Exported]) -> type[Any]:
    import pandas as pd
    from vlmeval.dataset.image_base import ImageBaseDataset
    from vlmeval.smp.file import INFER_FAIL_MSG, dump, get_intermediate_file_path, load

    class X3Dataset(ImageBaseDataset):  # type: ignore[misc]
        """Pointing over views: the answer is a text that x3spatial parses and scores."""

        TYPE = "VQA"
        MODALITY = "IMAGE"

        @classmethod
        def supported_datasets(cls) -> list[str]:
            return list(sources)

        def load_data(self, dataset: str) -> Any:
            source = sources[dataset]
            rows = source.questions()
            return pd.DataFrame(
                [
                    {
                        "index": index,
                        "id": row["id"],
                        "image_path": row["images"],
                        "names": source.names(row),
                        "question": row["prompt"],
                        "answer": row["answer"],
                        "scene": row["scene"],
                        "label": row["label"],
                    }
                    for index, row in enumerate(rows)
                ]
            )

        def build_prompt(self, line: Any) -> list[dict[str, str]]:
            row = self.data.iloc[line] if isinstance(line, int) else line
            return [
                *interleaved(
                    [{"type": "text", "value": name} for name in row["names"]],
                    [{"type": "image", "value": path} for path in row["image_path"]],
                ),
                {"type": "text", "value": row["question"]},
            ]

        def evaluate(self, eval_file: str, **judge_kwargs: Any) -> Any:
            table = load(eval_file)
            texts: dict[str, str | None] = {}
            for id, text in zip(table["id"], table["prediction"], strict=True):
                said = "" if isinstance(text, float) and math.isnan(text) else str(text)
                texts[str(id)] = None if INFER_FAIL_MSG in said else said
            source = sources[self.dataset_name]
            found = source.benchmark.figures(texts)
            row = pd.DataFrame([{name: found[name] for name in source.metrics}])
            dump(row, get_intermediate_file_path(eval_file, "_acc", "csv"))
            return row

    return X3Dataset
