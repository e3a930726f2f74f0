"""What scripts/release.py does, step by step."""
