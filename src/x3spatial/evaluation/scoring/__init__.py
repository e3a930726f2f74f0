"""From one answer to one score: the right answer, the mask it is looked up in, and the rules."""
