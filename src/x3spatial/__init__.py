"""x3spatial: spatial questions over several views of one scene, for vision-language models.

The package is organised by verb (see ``docs/architecture.md``); importing it loads nothing heavy.
"""

__version__ = "0.1.0"
