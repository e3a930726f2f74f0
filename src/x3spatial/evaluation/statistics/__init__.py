"""Metrics over a table of scores, their intervals, chance baselines, and metrics by object size."""
