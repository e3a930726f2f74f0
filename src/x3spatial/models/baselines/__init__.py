"""Baselines: the oracle, chance, and classical matching."""
