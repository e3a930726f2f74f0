"""Measured figures of the documentation: files that scripts make, and checks that the pages agree with them.

Rules: CONTRIBUTING.md, "Figures in the pages". The command is ``scripts/figures.py``.
"""
