"""Synthetic indoor scenes, rendered into a data root.

Importing this package is cheap: numpy and the ray tracer are loaded by the modules that need
them, when scenes are asked for (``x3spatial.synth.generate``).
"""
