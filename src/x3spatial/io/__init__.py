"""Files, images and JSON on disk; independent of tasks and data roots."""
