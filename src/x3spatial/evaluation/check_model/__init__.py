"""Checks of a model's prompts and answer parsing on synthetic images with known answers.

``questions`` draws images with dots, ``faults`` defines the possible faults of an adapter, ``diagnosis``
compares answers with them, and ``run`` asks the questions through ``evaluation.run``.
"""
