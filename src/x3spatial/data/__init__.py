"""What lies on disk: the data root, task records, images, and writing files safely."""
