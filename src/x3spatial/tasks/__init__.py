"""Tasks: questions, ground truth and answer types. Pure functions of arrays, numbers and text; no file
access.
"""
