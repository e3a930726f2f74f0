"""Whatever answers a batch of questions with text."""
