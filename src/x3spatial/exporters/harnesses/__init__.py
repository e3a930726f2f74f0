"""Exports for other evaluation harnesses, which ask the model and call x3spatial for the scores."""
