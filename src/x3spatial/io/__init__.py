"""Files, images and JSON on disk: knows nothing of tasks or roots."""
