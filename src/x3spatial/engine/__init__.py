"""Many independent units of work: threads, spawned processes, and processes started by torchrun."""
