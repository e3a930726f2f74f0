"""Metrics over a table of scores, their intervals, what chance gives, and metrics by object size."""
