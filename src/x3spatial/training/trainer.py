"""transformers' Trainer with RoboRefer's checkpoints, data order, rates and evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import load_fsdp_model
from torch.utils.data import Sampler
from transformers.trainer import Trainer
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from x3spatial.errors import Diverged, UserError
from x3spatial.io.opening import refuse_link
from x3spatial.models.roborefer.checkpoint import Checkpoint, read_checkpoint, read_tensors
from x3spatial.models.roborefer.modeling import PARTS
from x3spatial.models.roborefer.processing import RoboReferProcessor
from x3spatial.models.roborefer.saving import save_upstream
from x3spatial.training.arguments import Arguments
from x3spatial.training.checkpoints import (
    last_good,
    publish,
    reading,
    rotate,
    saving_dir,
    writing,
)
from x3spatial.training.data_module import DataModule
from x3spatial.training.evaluation import Evaluation, LiveModel
from x3spatial.training.finite import DELETE_IT, FiniteGuard, finite_logs, not_finite
from x3spatial.training.lora import (
    ADAPTER,
    core,
    is_adapted,
    merged_state,
    restore_adapter,
    save_adapter,
)
from x3spatial.training.muon import MuonAndRest, is_hidden_matrix
from x3spatial.training.sampler import MixtureSampler
from x3spatial.training.setup import unsharded


class SpatialTrainer(Trainer):
    """Trains a RoboRefer model.

    Differences to the base class: the order of samples is a function of seed and epoch; checkpoints are
    written atomically in the published layout, with their provenance; frozen parts stay in eval mode; parts
    may have their own learning rates; evaluation answers questions instead of measuring a loss.

    Args:
        model: a RoboRefer model, or a PeftModel around one.
        arguments: the run's arguments.
        module: its data.
        processor: written into checkpoints.
        base: the checkpoint it starts from.
        note: the provenance, written into checkpoints.
        evaluation: the questions, if there are any.
    """

    def __init__(
        self,
        model: Any,
        arguments: Arguments,
        module: DataModule,
        processor: RoboReferProcessor,
        base: Checkpoint,
        note: Mapping[str, Any],
        evaluation: Evaluation | None = None,
    ) -> None:
        self.x3 = arguments
        self.module = module
        self.base = base
        self.note = dict(note)
        self.evaluation = evaluation
        self._saving: Path | None = None
        super().__init__(
            model=model,
            args=arguments.training,
            data_collator=module.data_collator,
            train_dataset=module.train_dataset,
            # Never iterated, see `evaluate`; required by the base class.
            eval_dataset=None if evaluation is None else module.train_dataset,
        )
        # The run writes its own log; see sft.
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        guard = FiniteGuard(self._kept, lambda: bool(self.accelerator.optimizer_step_was_skipped))
        self.add_callback(guard)
        clip = self.accelerator.clip_grad_norm_

        def clip_and_note(*args: Any, **kwargs: Any) -> Any:
            guard.clipped_norm = clip(*args, **kwargs)
            return guard.clipped_norm

        self.accelerator.clip_grad_norm_ = clip_and_note
        self.processor = processor
        self.frozen = [
            part
            for part in core(model).parts().values()
            if not any(parameter.requires_grad for parameter in part.parameters())
        ]

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        dataset = self.module.train_dataset
        grouped = self.x3.training.group_by_length
        return MixtureSampler(
            dataset.sizes,
            dataset.weights,
            seed=self.args.data_seed if self.args.data_seed is not None else self.args.seed,
            lengths=dataset.lengths if grouped else None,
            batch_size=self.args.train_batch_size
            * self.args.gradient_accumulation_steps
            * self.args.world_size,
        )

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # A resumed epoch uses wrappers that do not pass the epoch on to the sampler.
        sampler: Any = kwargs["train_dataloader"].batch_sampler
        while not isinstance(sampler, MixtureSampler):
            sampler = getattr(sampler, "batch_sampler", None) or sampler.sampler
        sampler.set_epoch(kwargs["epoch"])
        base: Any = super()
        base._run_epoch(*args, **kwargs)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """As the base class, with a group for each part of the model that has trained parameters."""
        target: Any = self.model if model is None else model
        if self.optimizer is None:
            decay = set(self.get_decay_parameter_names(target))
            rates, muon_rate = self.x3.training.rates(), self.x3.training.muon_lr
            groups: dict[tuple[str, bool], list[torch.nn.Parameter]] = {}
            matrices: list[torch.nn.Parameter] = []
            for name, parameter in target.named_parameters():
                if not parameter.requires_grad:
                    continue
                if muon_rate and is_hidden_matrix(name, parameter):
                    matrices.append(parameter)
                    continue
                part = next(piece for piece in name.split(".") if piece in PARTS)
                groups.setdefault((part, name in decay), []).append(parameter)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, target)
            plain = [
                {
                    "params": parameters,
                    "lr": rates[part],
                    "weight_decay": self.args.weight_decay if decays else 0.0,
                }
                for (part, decays), parameters in groups.items()
            ]
            try:
                optimizer = kind(plain, **options)
            except (TypeError, ValueError) as error:
                given = f", --optim-args {self.args.optim_args}" if self.args.optim_args else ""
                raise UserError(f"--optim {self.x3.training.optim_name}{given}: {error}") from None
            if matrices:
                hidden = {
                    "params": matrices,
                    "lr": muon_rate,
                    "weight_decay": self.args.weight_decay,
                }
                optimizer = MuonAndRest([hidden], optimizer)
            self.optimizer = optimizer
        return self.optimizer

    def create_scheduler(self, *args: Any, **kwargs: Any) -> Any:
        """As the base class.

        Raises:
            UserError: the schedule does not have an option, or lacks one.
        """
        try:
            return super().create_scheduler(*args, **kwargs)
        except (TypeError, ValueError, AttributeError) as error:
            name = getattr(self.args.lr_scheduler_type, "value", self.args.lr_scheduler_type)
            given = self.args.lr_scheduler_kwargs
            raise UserError(
                f"--lr-scheduler-type {name}, --lr-scheduler-kwargs {given}: {error}"
            ) from None

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The token-mean loss over the whole accumulation window, on all processes.

        The base class counts the window's labelled tokens and hands the count to the model's loss; here
        only the frozen parts are kept in eval mode, and no cache is filled.
        """
        for part in self.frozen:
            part.eval()
        return super().compute_loss(model, {**inputs, "use_cache": False}, *args, **kwargs)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As the base class; stops before the weights are changed by a loss that is not finite.

        Raises:
            Diverged: the loss is NaN or infinite. Not in float16, whose gradient scaler skips such steps.
        """
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        if not self.args.fp16 and not torch.isfinite(loss).all():
            raise Diverged(
                f"step {self.state.global_step + 1}: the loss is {loss.item():g};"
                f" {self._kept()}; lower --learning-rate or set --max-grad-norm"
            )
        return loss

    def check_weights(self) -> None:
        """Check the trained parameters that this process holds before they are written.

        Raises:
            Diverged: one is not finite.
        """
        model: Any = self.model
        trained = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
        for name in not_finite(trained):
            raise Diverged(
                f"step {self.state.global_step}: {name} is not finite; nothing was written,"
                f" {self._kept()}; lower --learning-rate or set --max-grad-norm"
            )

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As the base class, without values that JSON does not have."""
        super().log(finite_logs(logs), *args, **kwargs)

    def _kept(self) -> str:
        start, _ = last_good(Path(str(self.args.output_dir)))
        return (
            "no checkpoint was written yet" if start is None else f"{start} is the last checkpoint"
        )

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._saving) if self._saving is not None else super()._get_output_dir(trial)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.check_weights()
        run, step = Path(str(self.args.output_dir)), self.state.global_step
        with writing(run):
            self._saving = saving_dir(run, step)
            refuse_link(self._saving)
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._saving = None
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            with writing(run):
                publish(run, step, {**self.note, "step": step, "epoch": self.state.epoch})
            rotate(run, self.args.save_total_limit)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write weights in the published layout, and an adapter beside or instead of them."""
        if not self.args.should_save:
            return
        folder = Path(str(output_dir or self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        model = self.accelerator.unwrap_model(self.model)
        if is_adapted(model):
            save_adapter(model, folder / ADAPTER)
            if self.x3.model.lora_save == "adapter":
                return
            state_dict = merged_state(model)
        save_upstream(core(model), self.processor, folder, state_dict=state_dict)

    @property
    def is_sharded(self) -> bool:
        """Whether the weights are sharded over the processes during training."""
        return bool(self.is_fsdp_enabled or self.x3.training.zero3)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        target = self.model if model is None else model
        if self.is_fsdp_enabled:
            # A separate file; the base class would warn about the version of the published weights.
            load_fsdp_model(
                self.accelerator.state.fsdp_plugin, self.accelerator, target, resume_from_checkpoint
            )
        else:
            self.load_weights(Path(resume_from_checkpoint), target)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        with reading(checkpoint):
            base: Any = super()
            base._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: Any) -> None:
        with reading(checkpoint):
            base: Any = super()
            base._load_rng_state(checkpoint)

    def load_weights(self, folder: Path, model: Any = None) -> None:
        """Read a checkpoint's weights, or its adapter, into a model that is whole in this process.

        Raises:
            UserError: the files are damaged, or a weight is not finite.
        """
        target: Any = self.model if model is None else model
        if is_adapted(target):
            with reading(folder):
                restore_adapter(target, folder / ADAPTER)
            for name in not_finite(target.named_parameters()):
                raise UserError(f"{folder}: {name} is not finite; {DELETE_IT}")
            return
        with unsharded(self.x3.training.deepspeed_config):
            state = read_tensors(read_checkpoint(folder))
        for name in not_finite(state.items()):
            raise UserError(f"{folder}: {name} is not finite; {DELETE_IT}")
        missing, unexpected = core(target).load_state_dict(state, strict=False)
        tied = {"llm.lm_head.weight"} if "llm.lm_head.weight" not in state else set()
        assert not unexpected and set(missing) <= tied, (missing, unexpected)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Answer the questions of ``--eval-data-path``; the metrics go to every logger."""
        if self.evaluation is None:
            return {}
        model = core(self.accelerator.unwrap_model(self.model))
        # With sharded weights all processes must run the same forward passes, so each answers all
        # questions; otherwise each answers its share.
        shared = not self.is_sharded
        live = LiveModel(
            model,
            self.processor,
            self.base,
            depth=self._depth_folder(),
            max_new_tokens=self.x3.data.eval_max_new_tokens,
        )
        with self.accelerator.autocast():
            metrics = self.evaluation.measure(
                live,
                batch_size=self.args.eval_batch_size,
                rank=self.args.process_index if shared else 0,
                world=self.args.world_size if shared else 1,
            )
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _depth_folder(self) -> Path | None:
        folder = self.x3.data.depth_path
        return Path(folder) if self.x3.model.enable_depth and folder else None
