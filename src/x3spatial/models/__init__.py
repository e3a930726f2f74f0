"""Models: adapters that answer batches of questions with text."""
