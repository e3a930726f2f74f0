"""Code that runs inside of other evaluation harnesses, called by the files of ``x3 export``."""
