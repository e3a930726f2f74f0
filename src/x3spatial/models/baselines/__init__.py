"""Answerers that are no models: the oracle, chance, and classical matching."""
