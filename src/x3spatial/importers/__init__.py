"""Rooms that others recorded, as a data root: readers, choice of objects and frames, writing."""
