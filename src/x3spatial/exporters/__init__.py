"""Export of task files to the formats of other trainers."""
