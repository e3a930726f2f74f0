"""Rooms written as if they had been scanned: one module per layout of files.

A scan is what a person with a depth camera would have of a room: a mesh with annotated instances, and frames
along a path with poses and depth. ``scan.py`` takes it from a planned room; the layouts write it.
"""
