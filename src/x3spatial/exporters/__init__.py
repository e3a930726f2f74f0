"""Task files in the shapes that other trainers read."""
