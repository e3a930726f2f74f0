"""Contact sheets of samples and answers, drawn from files."""
