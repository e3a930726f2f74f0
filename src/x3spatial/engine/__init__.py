"""Parallel execution: threads, spawned processes, and processes started by torchrun."""
