"""Evaluation: inference, scoring of answers, and metrics with intervals."""
