"""The two files that everybody exchanges, one module each: task files and results files."""
