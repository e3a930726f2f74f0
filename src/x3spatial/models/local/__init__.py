"""What models share that run in this process: devices, weights, image loading, batches that fit."""
