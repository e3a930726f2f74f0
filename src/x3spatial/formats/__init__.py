"""The file formats: task files and results files."""
