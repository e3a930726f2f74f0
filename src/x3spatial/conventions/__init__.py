"""How each model family is asked and how it writes a point.

Declared by the adapter or the user, never guessed from an answer's magnitudes.
"""
