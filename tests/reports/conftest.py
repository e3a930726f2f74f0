"""Results of two models on one set, shared by the tests of web reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.task_sets import Scripted, box_mask, make_record, write_set
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.task_file import read_records
from x3spatial.tasks.strata import Strata

NASTY = "<img src=x onerror=alert(1)></script><script>alert(2)</script>&\u2028"


@pytest.fixture(scope="session")
def web_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tasks/`` and ``results/{a,b}/``; read only.

    24 samples in 12 scenes; model a errs, does not answer one, and writes HTML; b always answers the centre.
    """
    folder = tmp_path_factory.mktemp("web")
    (folder / "tasks").mkdir()
    records = []
    for number in range(24):
        mask = box_mask(32, 24, 4 + number % 10, 5, 10 + number % 10, 11)
        if number % 4 == 3:
            mask[:] = False
        record = make_record(folder / "data", f"{number:02d}", mask, scene=f"s{number % 12}")
        strata = Strata(angle_deg=float(number * 5), overlap=number / 24)
        label = NASTY if number == 0 else f"mug {number % 3}"
        records.append(
            replace(record, label=label, strata=strata, image_sizes=((32, 24), (32, 24)))
        )
    tasks = write_set(folder / "tasks/t1_val_multi.json", records)
    ids = [record.id for record in read_records(tasks)]
    answers: dict[str, str | Exception] = {
        ids[0]: NASTY,
        ids[1]: "NOT_VISIBLE",
        ids[3]: "NOT_VISIBLE",
        ids[4]: RuntimeError(f"no answer from {folder}/data/x.png"),
        ids[5]: "[(3.5, 0.5)]",
    }
    a = Scripted(answers, "[(0.300, 0.330)]")
    evaluate(
        data_json=tasks, output_json=folder / "results/a/t1_val_multi.json", model=a, workers=1
    )
    b = Scripted(default="[(0.500, 0.500)]", version="2")
    b.name = "b"
    evaluate(
        data_json=tasks, output_json=folder / "results/b/t1_val_multi.json", model=b, workers=1
    )
    return folder
