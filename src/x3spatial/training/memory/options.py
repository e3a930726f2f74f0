"""The options of ``x3 sft --memory``."""

from __future__ import annotations

from dataclasses import dataclass

from x3spatial.errors import UserError
from x3spatial.training.data_arguments import with_help


@dataclass
class MemoryArguments:
    """The dry run that prints memory instead of training."""

    memory: bool = with_help(
        "Only print memory per GPU with DDP, FSDP, ZeRO-2 and ZeRO-3: no weights are read. The checkpoint"
        " may also be roborefer-2b, or a folder or config.json of any VLM of transformers.",
        False,
    )
    gpus: int = with_help("--memory: GPUs of all machines together.", 8)
    sample_tokens: int | None = with_help(
        "--memory: tokens of a sample, images included; default: the longest of the data.", None
    )
    json: bool = with_help("--memory: print one JSON document, for programs.", False)

    def check(self) -> None:
        """Check combinations.

        Raises:
            UserError: an option of ``--memory`` is given without it.
        """
        if self.memory:
            return
        for option, given in (("sample-tokens", self.sample_tokens), ("json", self.json)):
            if given:
                raise UserError(f"--{option}: only with --memory")
        if self.gpus != type(self).gpus:
            raise UserError("--gpus: only with --memory; torchrun says how many processes train")
