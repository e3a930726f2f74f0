"""Arguments of ``x3 sft``: the names and defaults of RoboRefer's training command, and our own."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
import transformers
from transformers.hf_argparser import HfArgumentParser
from transformers.integrations.integration_utils import get_reporting_integration_callbacks
from transformers.utils import logging as hf_logging

from x3spatial.errors import UserError
from x3spatial.models.local.runtime import ATTENTIONS
from x3spatial.models.roborefer.attention import NAME as LEAN
from x3spatial.models.roborefer.configuration import PROJECTOR_TYPE
from x3spatial.models.roborefer.model import CHAT_TEMPLATES
from x3spatial.models.roborefer.modeling import PARTS
from x3spatial.training.data_arguments import (
    MODEL_MAX_LENGTH,
    MODEL_MAX_LENGTH_HELP,
    DataArguments,
)
from x3spatial.training.data_arguments import with_help as _help
from x3spatial.training.memory.options import MemoryArguments
from x3spatial.training.options import dashed, one_spelling, underscored
from x3spatial.training.ranges import check_ranges

LORA_SAVES = ("merged", "adapter")


@dataclass
class ModelArguments:
    """The model, and which parts of it are trained."""

    model_name_or_path: str = _help(
        "Checkpoint folder, published layout or ours.", "./runs/train/RoboRefer-2B-Depth-Align"
    )
    chat_template: str = _help("qwen2, the only one RoboRefer was trained with.", "qwen2")
    vision_tower: str | None = _help(
        "Name of the tower. It is part of the checkpoint; only its size is checked.",
        None,
    )
    depth_tower: str | None = _help("Name of the depth tower; see --vision-tower.", None)
    mm_projector: str = _help(f"{PROJECTOR_TYPE}, the only one.", PROJECTOR_TYPE)
    depth_projector: str = _help(f"{PROJECTOR_TYPE}, the only one.", PROJECTOR_TYPE)
    mm_vision_select_layer: int | None = _help(
        "Hidden state of the tower to use; default: as in the checkpoint (-2).", None
    )
    mm_vision_select_feature: str = _help("cls_patch, the only one.", "cls_patch")
    mm_use_im_start_end: bool = _help("Not supported; false.", False)
    mm_use_im_patch_token: bool = _help("Not supported; false.", False)
    enable_depth: bool = _help("Give the model depth maps.", False)
    use_depth_tower: bool | None = _help(
        "Encode depth maps with a separate tower; default: as in the checkpoint.", None
    )
    tune_vision_tower: bool | None = _help(
        "Train the vision tower; default True, with LoRA False.", None
    )
    tune_mm_projector: bool | None = _help(
        "Train the projector; default True, with LoRA False.", None
    )
    tune_language_model: bool | None = _help("Train the language model; default True.", None)
    tune_depth_tower: bool = _help("Train the depth tower.", False)
    tune_depth_projector: bool = _help("Train the depth projector.", False)
    attention: str = _help(
        "sdpa, eager, flash_attention_2, or lean, the fastest for bf16 on a CPU.", "sdpa"
    )
    lora_enable: bool = _help("Train only LoRA adapters on the language model.", False)
    lora_r: int = _help("Rank of the adapters.", 16)
    lora_alpha: float = _help("The adapters are scaled by alpha / rank.", 32.0)
    lora_dropout: float = _help("Dropout on the input of the adapters.", 0.05)
    lora_target_modules: str = _help(
        "Linear layers of the language model, separated by commas.",
        "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
    )
    lora_save: str = _help(
        "merged: checkpoints are whole models and the adapter; adapter: only the adapter.",
        "merged",
    )

    def tuned(self) -> dict[str, bool]:
        """Part → whether it is trained; with LoRA the language model's value refers to its adapters."""
        rest = not self.lora_enable
        return {
            "vision_tower": rest if self.tune_vision_tower is None else self.tune_vision_tower,
            "mm_projector": rest if self.tune_mm_projector is None else self.tune_mm_projector,
            "depth_tower": self.tune_depth_tower,
            "depth_projector": self.tune_depth_projector,
            "llm": True if self.tune_language_model is None else self.tune_language_model,
        }

    def check(self) -> None:
        """Check values and combinations.

        Raises:
            UserError: a value is not supported; the message names the option.
        """
        for option, value, known in (
            ("chat_template", self.chat_template, CHAT_TEMPLATES),
            ("mm_projector", self.mm_projector, (PROJECTOR_TYPE,)),
            ("depth_projector", self.depth_projector, (PROJECTOR_TYPE,)),
            ("mm_vision_select_feature", self.mm_vision_select_feature, ("cls_patch",)),
            ("mm_use_im_start_end", self.mm_use_im_start_end, (False,)),
            ("mm_use_im_patch_token", self.mm_use_im_patch_token, (False,)),
            ("attention", self.attention, (*ATTENTIONS, LEAN)),
            ("lora_save", self.lora_save, LORA_SAVES),
        ):
            if value not in known:
                names = ", ".join(str(entry) for entry in known)
                raise UserError(f"--{dashed(option)} {value}: not supported; expected {names}")
        if not self.enable_depth:
            for option in ("use_depth_tower", "tune_depth_tower", "tune_depth_projector"):
                if getattr(self, option):
                    raise UserError(f"--{dashed(option)}: needs --enable-depth True")
        if self.use_depth_tower is False and self.tune_depth_tower:
            raise UserError("--tune-depth-tower: there is none with --use-depth-tower False")
        if self.lora_enable:
            others = [part for part, on in self.tuned().items() if on and part != "llm"]
            if others or not self.tuned()["llm"]:
                what = "the language model's adapters only; leave the --tune_ options out"
                raise UserError(f"--lora-enable: trains {what}")
        elif not any(self.tuned().values()):
            raise UserError("--tune-language-model: every part is frozen, nothing would be trained")


REFUSED = {
    "load_best_model_at_end": "evaluate the checkpoints and choose",
    "metric_for_best_model": "evaluate the checkpoints and choose",
    "push_to_hub": "upload the finished folder",
    "resume_from_checkpoint": "the same command continues by itself",
    "auto_find_batch_size": "set --per-device-train-batch-size",
    "use_liger_kernel": "not supported",
    "neftune_noise_alpha": "not supported",
    "save_only_model": "a run could not be continued",
    "enable_jit_checkpoint": "use --save-steps",
    "ignore_data_skip": "a continued run would see other samples",
    "include_for_metrics": "metrics are those of x3 eval",
    "batch_eval_metrics": "metrics are those of x3 eval",
    "prediction_loss_only": "metrics are those of x3 eval",
    "eval_accumulation_steps": "set --per-device-eval-batch-size",
    "do_predict": "use x3 eval",
    "label_smoothing_factor": "the loss is RoboRefer's own",
}


@dataclass
class SftArguments(transformers.TrainingArguments):
    """The training run: the arguments of transformers with RoboRefer's defaults."""

    output_dir: str | None = _help("Folder of the run.", "runs/train/mv_consistency_sft_x3")
    num_train_epochs: float = _help("Epochs.", 2.0)
    per_device_train_batch_size: int = _help("Samples per device and forward pass.", 1)
    per_device_eval_batch_size: int = _help("Questions per batch in an evaluation.", 8)
    gradient_accumulation_steps: int = _help("Forward passes per optimizer step.", 4)
    learning_rate: float = _help("Peak learning rate of parts without their own.", 1e-5)
    weight_decay: float = _help("Weight decay; not applied to biases and norms.", 0.0)
    lr_scheduler_type: str = _help("Schedule of the learning rate, as in transformers.", "cosine")
    warmup_ratio: float | None = _help(
        "Warm-up as a share of the steps; default 0.03 without --warmup-steps.", None
    )
    max_grad_norm: float = _help("Clip the gradient's norm to this; 0: do not clip.", 1.0)
    bf16: bool = _help("Compute in bfloat16; weights and optimizer state are float32.", True)
    gradient_checkpointing: bool | None = _help("Recompute activations to save memory.", True)
    save_steps: float = _help("Steps between checkpoints.", 500)
    save_total_limit: int | None = _help("Number of checkpoints to keep; 0: all.", 3)
    logging_steps: float = _help("Steps between log lines.", 10)
    dataloader_num_workers: int = _help(
        "Worker processes per device; limited to the usable cores.", 4
    )
    report_to: str = _help("none, tensorboard or wandb.", "none")
    eval_strategy: str = _help(
        "no, steps or epoch; default steps with --eval-data-path.", "no",
        aliases=["--evaluation_strategy", "--evaluation-strategy"],
    )  # fmt: skip
    logging_nan_inf_filter: bool = _help("Leave NaN and infinite losses out of the log.", False)
    group_by_length: bool = _help("Batch samples of similar length.", False)
    model_max_length: int = _help(MODEL_MAX_LENGTH_HELP, MODEL_MAX_LENGTH)
    vision_tower_lr: float | None = _help("Peak learning rate of this part.", None)
    mm_projector_lr: float | None = _help("Peak learning rate of this part.", None)
    depth_tower_lr: float | None = _help("Peak learning rate of this part.", None)
    depth_projector_lr: float | None = _help("Peak learning rate of this part.", None)
    language_model_lr: float | None = _help("Peak learning rate of this part.", None)
    muon_lr: float | None = _help(
        "Train hidden matrices with Muon at this peak rate; --optim trains the rest.",
        None,
    )
    save_dtype: str = _help(
        "Type of the final weights: base (as in the base checkpoint), float32, bfloat16 or float16.",
        "base",
    )

    def __post_init__(self) -> None:
        self.gradient_checkpointing = bool(self.gradient_checkpointing)
        if self.gradient_checkpointing and self.gradient_checkpointing_kwargs is None:
            self.gradient_checkpointing_kwargs = {"use_reentrant": False}
        if not torch.accelerator.is_available():
            self.use_cpu = True
        if self.warmup_ratio is None and not self.warmup_steps:
            self.warmup_ratio = 0.03
        if self.warmup_ratio is not None:
            # transformers 5 reads a number below 1 as a share of the steps.
            self.warmup_steps = self.warmup_ratio
        if self.group_by_length:
            self.train_sampling_strategy = "group_by_length"
        self.group_by_length = self.train_sampling_strategy == "group_by_length"
        self.remove_unused_columns = False
        with warnings.catch_warnings():
            # Its new name does not exist in every version that we support.
            warnings.filterwarnings("ignore", "`gradient_checkpointing", FutureWarning)
            base: Any = super()
            base.__post_init__()

    @property
    def deepspeed_config(self) -> Any:
        """The DeepSpeed configuration that transformers read; None without ``--deepspeed``."""
        return getattr(self, "hf_deepspeed_config", None)

    @property
    def zero3(self) -> bool:
        """Whether DeepSpeed shards the weights (stage 3), not only gradients and optimizer state."""
        return self.deepspeed_config is not None and bool(self.deepspeed_config.is_zero3())

    @property
    def optim_name(self) -> str:
        """The value of ``--optim``, which transformers turns into a member of an enumeration."""
        return str(getattr(self.optim, "value", self.optim))

    def rates(self) -> dict[str, float]:
        """Peak learning rate by part of the model."""
        own = {
            part: getattr(self, "language_model_lr" if part == "llm" else f"{part}_lr")
            for part in PARTS
        }
        return {part: self.learning_rate if rate is None else rate for part, rate in own.items()}

    def check(self) -> None:
        """Check values and combinations.

        Raises:
            UserError: a value is not supported; the message names the option.
        """
        for option, reason in REFUSED.items():
            if getattr(self, option, None) not in (None, False, [], 0.0):
                raise UserError(f"--{dashed(option)}: not supported here; {reason}")
        if self.fsdp and self.use_cpu:
            # accelerate would silently continue without sharding.
            raise UserError(
                "--fsdp: needs GPUs; on CPUs torchrun alone trains in several processes"
            )
        try:
            # Otherwise a missing package is a traceback after the model has been loaded.
            for callback in get_reporting_integration_callbacks(self.report_to):  # type: ignore[no-untyped-call]
                callback()
        except (ValueError, ImportError, RuntimeError) as error:
            names = ",".join(self.report_to)
            raise UserError(f"--report-to {names}: {' '.join(str(error).split())}") from None
        known = ("random", "group_by_length")
        if self.train_sampling_strategy not in known:
            raise UserError(
                f"--train-sampling-strategy {self.train_sampling_strategy}: expected {' or '.join(known)}"
            )
        if str(self.save_strategy) == "SaveStrategy.BEST":
            raise UserError("--save-strategy best: not supported; expected no, steps or epoch")
        if self.muon_lr is not None and not hasattr(torch.optim, "Muon"):
            raise UserError(
                f"--muon-lr: torch {torch.__version__} has no Muon; install torch 2.9 or newer"
            )
        if self.save_dtype not in ("base", "float32", "bfloat16", "float16"):
            raise UserError(
                f"--save-dtype {self.save_dtype}: expected base, float32, bfloat16 or float16"
            )


class _Parser(HfArgumentParser):
    """argparse with one-line ``UserError`` messages, and ranges of numbers."""

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        """As argparse.

        Raises:
            UserError: a number is outside its range.
        """
        namespace, rest = super().parse_known_args(*args, **kwargs)
        check_ranges(vars(namespace))
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        raise UserError(f"x3 sft: {one_spelling(message)}")


@dataclass(frozen=True, slots=True)
class Arguments:
    """A parsed and checked command line."""

    model: ModelArguments
    data: DataArguments
    training: SftArguments
    memory: MemoryArguments


def parse(arguments: Sequence[str]) -> Arguments:
    """Parse the options of ``x3 sft``, written with dashes or underscores.

    Raises:
        UserError: an unknown option or a value that cannot be met.
    """
    parser = _Parser(
        (ModelArguments, DataArguments, SftArguments, MemoryArguments),  # type: ignore[arg-type]
        prog="x3 sft",
        description="Fine-tune a RoboRefer checkpoint on task files.",
        allow_abbrev=False,
    )
    given = [underscored(argument) for argument in arguments]
    previous = hf_logging.get_verbosity()
    # It would log a warning about aliases.
    hf_logging.set_verbosity(logging.ERROR)
    try:
        model, data, training, memory, rest = parser.parse_args_into_dataclasses(
            given, return_remaining_strings=True
        )
    except (
        ValueError,
        TypeError,
        ArithmeticError,
        LookupError,
        AttributeError,
        ImportError,
        OSError,
        RuntimeError,
    ) as error:  # what transformers raises for options of the wrong form
        raise UserError(f"x3 sft: {' '.join(str(error).split())}") from None
    finally:
        hf_logging.set_verbosity(previous)
    if rest:
        options = [dashed(o) for action in parser._actions for o in action.option_strings]
        rest[0] = dashed(rest[0])
        close = difflib.get_close_matches(rest[0], options, 1)
        hint = f"; did you mean {close[0]}?" if close else "; see x3 sft --help"
        raise UserError(f"x3 sft: unknown option {rest[0]}{hint}")
    chosen = Arguments(model, data, training, memory)
    for part in (model, data, training, memory):
        part.check()
    if training.muon_lr is not None and (training.fsdp or training.deepspeed):
        raise UserError("--muon-lr: not with --fsdp or --deepspeed; Muon needs whole matrices")
    if training.muon_lr is not None and model.lora_enable:
        raise UserError("--muon-lr: not with --lora-enable; adapters are trained by --optim")
    if model.lora_enable and (training.fsdp or training.zero3):
        raise UserError(
            "--lora-enable: not with --fsdp or ZeRO-3; adapters are merged into whole weights"
        )
    strategy = [a for a in given if a.startswith(("--eval_strategy", "--evaluation_strategy"))]
    evaluating = training.eval_strategy != "no"
    if data.eval_data_path and not strategy:
        steps = training.eval_steps or training.save_steps
        training = dataclasses.replace(training, eval_strategy="steps", eval_steps=steps)
        chosen = Arguments(model, data, training, memory)
    elif evaluating and not data.eval_data_path:
        raise UserError(f"--eval-strategy {training.eval_strategy.value}: needs --eval-data-path")
    return chosen
