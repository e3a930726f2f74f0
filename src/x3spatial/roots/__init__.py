"""A data root on disk: its layout, its views, crops of them, and the audit."""
