"""Chinese pages and the English ones that they translate."""
