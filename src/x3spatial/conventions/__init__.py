"""Conventions: the prompt and point format of each model family.

A convention is declared by the adapter or the user; it is not inferred from the numbers in an answer.
"""
