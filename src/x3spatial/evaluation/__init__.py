"""From answers to scores, and from scores to metrics with intervals."""
