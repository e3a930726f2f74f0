"""From a data root to task files: plan samples per object, render their images, run over a root."""
