"""Builds task files and their images from a data root."""
