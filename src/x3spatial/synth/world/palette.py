"""Named muted colours. None is red, because the tasks mark objects in red.

A colour is a pair of linear RGB values, the dark and the light end of a pattern's range.
"""

from __future__ import annotations

Rgb = tuple[float, float, float]


def linear(code: str) -> Rgb:
    """Return linear RGB in [0, 1] of a six-digit sRGB hex code."""
    values = [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return (r, g, b)


# Colours that distinguish objects of one kind; the names are part of object labels.
_NAMED = {
    "white": ("c9c7c0", "e9e7e1"),
    "grey": ("6e7175", "8f9296"),
    "black": ("26272a", "3c3e42"),
    "brown": ("58402f", "7a5c45"),
    "beige": ("b5a284", "d3c2a4"),
    "yellow": ("b98d2e", "dcb14c"),
    "orange": ("b06a35", "cd8a4e"),
    "olive": ("5f6236", "82844e"),
    "green": ("3b6a4a", "5c8d66"),
    "teal": ("2a6468", "4a8a8c"),
    "light blue": ("7c9cb4", "a5c0d2"),
    "blue": ("34558a", "5678ac"),
    "purple": ("5d4a7a", "7f6a9c"),
    "pink": ("b98793", "d7aab2"),
}
COLOURS: dict[str, tuple[Rgb, Rgb]] = {
    name: (linear(dark), linear(light)) for name, (dark, light) in _NAMED.items()
}

WOODS: dict[str, tuple[Rgb, Rgb]] = {
    "oak": (linear("8d6e4c"), linear("c2a47c")),
    "pine": (linear("b08f62"), linear("d9bf94")),
    "walnut": (linear("4a362a"), linear("75583f")),
    "teak": (linear("6b4a33"), linear("9a7250")),
    "ash": (linear("a3937c"), linear("cfc3ae")),
    "painted": (linear("cfcdc6"), linear("e4e2dc")),
    "ebony": (linear("2b2724"), linear("46403a")),
}

# Large painted surfaces.
WALLS: tuple[tuple[Rgb, Rgb], ...] = tuple(
    (linear(a), linear(b))
    for a, b in (
        ("d3cdc0", "e0dbd0"),
        ("c9cdc9", "d8dcd8"),
        ("8fa6b0", "a0b5be"),
        ("a9b39d", "b9c2ae"),
        ("cbb9a0", "d8c8b1"),
        ("b3a7b4", "c1b6c2"),
        ("d8d2b8", "e4dfc8"),
        ("76908f", "88a09f"),
        ("c2aa9a", "d0bbad"),
    )
)
CEILING = (linear("dedcd6"), linear("e8e6e1"))
METAL_DARK = (linear("2e3033"), linear("45484c"))
METAL_LIGHT = (linear("8e9194"), linear("aeb1b4"))
LEAF_GREENS: tuple[tuple[Rgb, Rgb], ...] = (
    (linear("2f5230"), linear("5a8550")),
    (linear("3a5f3f"), linear("74996a")),
    (linear("4c6636"), linear("8aa05f")),
)
