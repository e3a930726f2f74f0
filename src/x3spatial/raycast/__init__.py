"""Rays against triangles: which triangle a ray meets first, and whether anything is in the way."""
