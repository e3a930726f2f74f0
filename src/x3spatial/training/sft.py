"""``x3 sft``: fine-tune a checkpoint on task files.

``x3 sft --help`` lists the options. The same command continues a run that was
stopped, reports one that is finished, and refuses the folder of another run.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_callback import TrainerCallback, TrainerState
from transformers.trainer_utils import set_seed

from x3spatial import __version__
from x3spatial.engine.cores import cores_per_process, usable_cores
from x3spatial.engine.parent import end_forks_with_this_process
from x3spatial.errors import UserError
from x3spatial.formats.typed_json import document
from x3spatial.io.files import empty_dir, make_dir, write_json
from x3spatial.io.locks import lock_dir
from x3spatial.io.opening import open_append
from x3spatial.models.local.runtime import DTYPES, set_threads
from x3spatial.models.roborefer.checkpoint import Checkpoint
from x3spatial.models.roborefer.processing import load_processor
from x3spatial.models.roborefer.saving import save_upstream
from x3spatial.program import run_program
from x3spatial.program.reporting import guarded
from x3spatial.tables import terminal_width
from x3spatial.texts import print_line
from x3spatial.training.arguments import Arguments, parse
from x3spatial.training.checkpoints import (
    NOTE_FILE,
    STATE_FILE,
    clean,
    last_good,
    open_run,
    reading,
    write_run,
    writing,
)
from x3spatial.training.curve import draw_curve
from x3spatial.training.data_module import DataModule, make_supervised_data_module
from x3spatial.training.evaluation import Evaluation
from x3spatial.training.identity import RunIdentity, run_identity
from x3spatial.training.lora import ADAPTER, attach, core, is_adapted, merged_state, save_adapter
from x3spatial.training.options import QUIET, be_quiet, named
from x3spatial.training.setup import build_model, parameter_counts, read_base, unsharded
from x3spatial.training.sft_help import sft_help
from x3spatial.training.step_progress import StepProgress
from x3spatial.training.trainer import SpatialTrainer

LOG_FILE = "train.log"
CURVE_FILE = "loss.png"

_CLASS = f"{UserError.__module__}.{UserError.__qualname__}: "


class RunLog(TrainerCallback):
    """Writes events to ``train.log`` and to the terminal, one line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._started = time.monotonic()
        self._first_step: int | None = None

    def line(self, text: str) -> None:
        """Write one line."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with writing(self.path.parent), open_append(self.path) as file:
            file.write(f"{stamp} {text}\n".encode())
        print_line(text)

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """Start measuring steps per second."""
        self._started, self._first_step = time.monotonic(), state.global_step

    def on_log(
        self, args: Any, state: TrainerState, control: Any, logs: Any = None, **kwargs: Any
    ) -> None:
        """Write one line of metrics."""
        if not logs or self._first_step is None:
            return
        done = state.global_step - self._first_step
        rate = done / max(time.monotonic() - self._started, 1e-9)
        figures = " ".join(
            f"{name}={_figure(value)}" for name, value in logs.items() if name != "total_flos"
        )
        self.line(f"step {state.global_step}/{state.max_steps} {figures} steps_per_s={rate:.3g}")

    def on_save(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """Write that a checkpoint is complete."""
        self.line(f"step {state.global_step}: checkpoint written")


def _figure(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def sft(arguments: Sequence[str]) -> int:
    """Run ``x3 sft`` with these options and return the exit code.

    Raises:
        UserError: an option, file or folder is wrong.
        Diverged: the loss or the weights are no longer finite.
    """
    if {"-h", "--help", "--help-all", "--help_all"} & set(arguments):
        print(sft_help(everything=not {"-h", "--help"} & set(arguments)), end="")
        return 0
    end_forks_with_this_process()
    if QUIET & set(arguments):
        be_quiet()
        arguments = [word for word in arguments if word not in QUIET]
    try:
        chosen = parse(arguments)
        if chosen.memory.memory:
            return _print_memory(chosen)
        return _sft(chosen)
    except UserError as error:
        # An error in a dataloader worker includes the traceback of that process.
        raise UserError(str(error).rstrip().splitlines()[-1].removeprefix(_CLASS)) from None
    except Exception as error:
        if type(error).__module__.startswith("wandb."):  # no key, no network
            raise UserError(f"--report-to wandb: {' '.join(str(error).split())}") from error
        raise
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _print_memory(chosen: Arguments) -> int:
    from x3spatial.training.memory.report import memory_report

    report = memory_report(chosen)
    if chosen.memory.json:
        print(document(report.to_json()))
    else:
        print(report.table().text(terminal_width()))
    return 0


def _sft(chosen: Arguments) -> int:
    rank, world = chosen.training.process_index, chosen.training.world_size
    with unsharded(chosen.training.deepspeed_config):
        base = read_base(chosen.model)
    processor = load_processor(base, image_aspect_ratio=chosen.data.image_aspect_ratio)
    context = int(base.config.text_config.max_position_embeddings)
    module = make_supervised_data_module(
        processor,
        chosen.data,
        model_max_length=min(chosen.training.model_max_length, context),
        enable_depth=chosen.model.enable_depth,
    )
    evaluation = None
    if chosen.data.eval_data_path:
        evaluation = Evaluation(
            Path(chosen.data.eval_data_path),
            limit=chosen.data.eval_limit,
            image_folder=Path(chosen.data.image_folder),
            image_root=Path(chosen.data.image_root) if chosen.data.image_root else None,
        )
    identity = run_identity(chosen, base, module, world)
    output_dir = Path(str(chosen.training.output_dir))
    run = open_run(output_dir, identity)
    if run is not None and run.get("finished"):
        if rank == 0:
            print_line(f"x3 sft: {output_dir} is finished ({run['steps']} steps); nothing to do")
        return 0
    if rank == 0:
        make_dir(output_dir, named("output_dir"))
        with lock_dir(output_dir, named("output_dir")):
            return _run(
                chosen, base, processor, module, evaluation, identity, output_dir, run is None
            )
    return _run(chosen, base, processor, module, evaluation, identity, output_dir, run is None)


def _run(
    chosen: Arguments,
    base: Checkpoint,
    processor: Any,
    module: DataModule,
    evaluation: Evaluation | None,
    identity: RunIdentity,
    output_dir: Path,
    is_new: bool,
) -> int:
    training = chosen.training
    first = training.process_index == 0
    set_seed(training.seed)
    asked = training.dataloader_num_workers
    training.dataloader_num_workers, threads = share_cores(asked, cores_per_process())
    if "OMP_NUM_THREADS" not in os.environ and threads != (os.cpu_count() or 1):
        # Not set if it is torch's default: even reading the number from torch changes the last bits of
        # results.
        set_threads(threads)
    with unsharded(training.deepspeed_config):
        model: Any = build_model(base, chosen.model)
        # Recorded in the checkpoints.
        model.config.image_aspect_ratio = chosen.data.image_aspect_ratio
        if chosen.model.lora_enable:
            model = attach(model, chosen.model)
    if not module.train_dataset.uniform:
        training.ddp_find_unused_parameters = True
    elif training.ddp_find_unused_parameters is None:
        training.ddp_find_unused_parameters = False
    note = {
        "x3spatial": __version__,
        "base": identity.values["base"],
        "data": identity.values["data"],
        "lora": chosen.model.lora_enable,
        "settings": identity.values["training"],
    }
    trainer = SpatialTrainer(model, chosen, module, processor, base, note, evaluation)
    log = RunLog(output_dir / LOG_FILE)
    if first:
        clean(output_dir)
        if is_new:
            write_run(output_dir, identity, finished=False)
        trainer.add_callback(log)
        for text in header_lines(chosen, module, model, base):
            log.line(text)
        log.line(
            f"cores: {usable_cores()} usable; in each process {threads} torch thread(s) and"
            f" {training.dataloader_num_workers} dataloader worker(s)"
        )
        if asked > training.dataloader_num_workers:
            log.line(
                f"--dataloader-num-workers {asked}: {training.dataloader_num_workers} used, one core"
                " is left for the training itself"
            )
    trainer.accelerator.wait_for_everyone()
    start, bad = last_good(output_dir)
    if first:
        for folder in bad:
            log.line(f"{folder}: damaged, not used")
        if start is not None:
            log.line(f"continuing from {start}")
    sharded = trainer.is_sharded
    if start is not None and _is_last(start):
        sharded = False
        trainer.load_weights(start)
        trainer.state = TrainerState.load_from_json(str(start / STATE_FILE))
    else:
        with StepProgress() as steps:
            if first:
                trainer.add_callback(steps)
            trainer.train(resume_from_checkpoint=None if start is None else str(start))
    state = trainer.state
    trainer.check_weights()
    with writing(output_dir):
        finish(trainer, chosen, base, output_dir, note, sharded=sharded)
    if first:
        drawn = draw_curve(state.log_history, output_dir / CURVE_FILE)
        write_run(output_dir, identity, finished=True, steps=state.global_step)
        where = f"; loss curve: {output_dir / CURVE_FILE}" if drawn else ""
        log.line(f"finished: {state.global_step} steps; model: {output_dir}{where}")
    return 0


def share_cores(workers: int, cores: int) -> tuple[int, int]:
    """How many dataloader workers and torch threads a process gets: together at most its cores.

    ``OMP_NUM_THREADS`` (torchrun sets it) decides about the threads where it is set.

    Args:
        workers: requested number; one core is kept for the training itself.
        cores: number of usable cores of this process.
    """
    workers = min(workers, cores - 1)
    given = "OMP_NUM_THREADS" in os.environ
    return workers, torch.get_num_threads() if given else cores - workers


def _is_last(checkpoint: Path) -> bool:
    with reading(checkpoint):
        state = TrainerState.load_from_json(str(checkpoint / STATE_FILE))
    return bool(state.global_step >= state.max_steps)


def header_lines(chosen: Arguments, module: DataModule, model: Any, base: Checkpoint) -> list[str]:
    """The lines that are logged before the first step."""
    training = chosen.training
    samples = (
        training.per_device_train_batch_size
        * training.gradient_accumulation_steps
        * training.world_size
    )
    lines = [f"x3 sft {__version__}: {chosen.model.model_name_or_path} -> {training.output_dir}"]
    for entry in module.provenance():
        lines.append(
            f"data: {entry['path']}, {entry['samples']} samples x {entry['weight']:g}"
            + (f", {entry['dropped']} too long left out" if entry["dropped"] else "")
        )
    lines += module.selected()
    for part, found in zip(module.train_dataset.parts, module.findings, strict=True):
        lines += found.unread(part.data_path)
    text_only = sum(found.images[0] for found in module.findings)
    if text_only:
        lines.append(f"records without an image: {text_only}, trained on as text")
    lines.append(f"answers: {module.not_visible:.0%} of an epoch's are NOT_VISIBLE")
    for name, number in parameter_counts(model).items():
        lines.append(f"{name}: {number['trained']:,} of {number['all']:,} parameters are trained")
    if base.config.enable_depth and not chosen.model.enable_depth:
        lines.append("depth: left out of this run and of its checkpoints (--enable-depth False)")
    context = int(base.config.text_config.max_position_embeddings)
    if training.model_max_length > context:
        lines.append(f"--model-max-length {training.model_max_length}: the model has {context}")
    clipping = f"norm {training.max_grad_norm:g}" if training.max_grad_norm else "off"
    lines.append(
        f"samples per step: {samples} ({training.per_device_train_batch_size} x"
        f" {training.gradient_accumulation_steps} x {training.world_size} processes);"
        f" loss: token mean over them; gradient clipping: {clipping}"
    )
    return lines


def finish(
    trainer: SpatialTrainer,
    chosen: Arguments,
    base: Checkpoint,
    output_dir: Path,
    note: Mapping[str, Any],
    *,
    sharded: bool = False,
) -> None:
    """Write the trained model into the folder of the run, in the published layout.

    It is written to a temporary folder and moved part by part, ``config.json`` last, so that the folder is
    not a checkpoint before it is complete. With ``sharded`` the weights are gathered from all processes.
    """
    wrapped: Any = trainer.model_wrapped
    gathered = trainer.accelerator.get_state_dict(wrapped) if sharded else None
    if not trainer.args.should_save:
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    temporary = output_dir / ".saving-final"
    empty_dir(temporary)
    adapted = is_adapted(model)
    if adapted:
        save_adapter(model, temporary / ADAPTER)
    if not adapted or chosen.model.lora_save == "merged":
        state = merged_state(model) if adapted else gathered or model.state_dict()
        name = chosen.training.save_dtype
        dtype = base.dtype if name == "base" else DTYPES[name]
        save_upstream(
            core(model),
            trainer.processor,
            temporary,
            # On the CPU: the GPU has room for training, not for another copy of the weights.
            state_dict={key: value.to("cpu", dtype) for key, value in state.items()},
        )
    write_json(temporary / NOTE_FILE, {**note, "step": trainer.state.global_step})
    for entry in sorted(temporary.iterdir(), key=lambda entry: entry.name == "config.json"):
        target = output_dir / entry.name
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(entry, target)
    temporary.rmdir()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``x3 sft`` and return the exit code; an error is one line on stderr."""
    return guarded(lambda: sft(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    run_program(main)
