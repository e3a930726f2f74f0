"""``x3 sft --memory``: what a training run needs of every GPU, without weights, data or a GPU."""
