"""Shared code of models that run in this process: devices, weights, image loading, batch sizes."""
