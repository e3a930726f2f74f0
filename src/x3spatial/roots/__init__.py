"""Data roots on disk: layout, views, crops and audit."""
