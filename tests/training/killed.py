"""``x3 sft`` that kills itself: ``killed.py step N OPTIONS`` or ``killed.py write N OPTIONS``.

``step``: in the middle of the accumulation window of optimizer step N. ``write``: while the N-th weight
file is half on disk.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import torch


def main() -> None:
    where, number, options = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    torch.set_num_threads(1)
    from x3spatial.models.roborefer import saving
    from x3spatial.training import trainer
    from x3spatial.training.sft import sft

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if where == "step":
        step: Any = trainer.SpatialTrainer.training_step

        def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = step(self, *args, **kwargs)
            if self.state.global_step == number:
                die()
            return result

        trainer.SpatialTrainer.training_step = training_step  # type: ignore[method-assign]
    else:
        write: Any = vars(saving)["save_file"]
        count = 0

        def save_file(tensors: Any, path: Any, *args: Any) -> None:
            nonlocal count
            count += 1
            write(tensors, path, *args)
            if count == number:
                os.truncate(path, path.stat().st_size // 2)
                die()

        vars(saving)["save_file"] = save_file
    sft(options)


if __name__ == "__main__":
    main()
