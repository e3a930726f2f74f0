"""Synthetic indoor scenes, rendered into a data root.

Frames used throughout the package:

- World: right-handed, metres, z up; the floor of the room is the plane z = 0.
- Camera: x right, y down, z forward.
- Image: pixels; pixel (i, j) covers [i, i + 1) x [j, j + 1).

Importing this package is cheap: ``x3spatial.synth.generate`` loads numpy and the ray tracer only
when it renders a scene.
"""
