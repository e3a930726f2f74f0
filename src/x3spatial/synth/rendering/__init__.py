"""Rendering: images, depth and exact counterfactuals of a room seen by a camera."""
