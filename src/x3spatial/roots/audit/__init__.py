"""Audit of a data root: statistics of its contents and every problem, without building."""
