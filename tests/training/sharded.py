"""``x3 sft`` with FSDP on CPUs: a program for torchrun.

accelerate shards over processes with GPUs only, and PyTorch over any. Here accelerate takes processes
joined by gloo for such, so that everything of ours runs: weights in pieces, checkpoints, going on, the
final model, questions asked on the way.
"""

from __future__ import annotations

import sys
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from x3spatial.training.arguments import SftArguments
from x3spatial.training.sft import main


def _allow() -> None:
    check, init = SftArguments.check, AcceleratorState.__init__

    def check_as_with_gpus(self: Any) -> None:
        self.use_cpu, cpu = False, self.use_cpu
        try:
            check(self)
        finally:
            self.use_cpu = cpu

    def init_as_with_gpus(self: Any, *args: Any, **settings: Any) -> None:
        if settings.get("fsdp_plugin") is not None:
            PartialState()
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
        init(self, *args, **settings)

    SftArguments.check = check_as_with_gpus  # type: ignore[method-assign]
    AcceleratorState.__init__ = init_as_with_gpus


if __name__ == "__main__":
    _allow()
    sys.exit(main())
