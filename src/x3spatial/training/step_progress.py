"""A progress bar over the steps of a training run, or lines with rate and time left in a log."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from transformers.trainer_callback import TrainerCallback, TrainerState

from x3spatial.progress import Advance, progress


class StepProgress(TrainerCallback):
    """Shows the steps; a context manager around the training, so that errors remove the bar."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._advance: Advance | None = None

    def __enter__(self) -> StepProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._advance = None
        self._stack.close()

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """Begin at the step that an earlier call reached."""
        shown = progress("training", state.max_steps, done=state.global_step)
        self._advance = self._stack.enter_context(shown)

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """One more step is done."""
        if self._advance is not None:
            self._advance(1)
