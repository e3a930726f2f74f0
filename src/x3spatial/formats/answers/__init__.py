"""Readers of files with answers that were made elsewhere: one module per format, listed in ``registry``."""
