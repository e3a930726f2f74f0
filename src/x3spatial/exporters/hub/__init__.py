"""Export as a data set of the Hugging Face Hub that is a benchmark: tables, card and metadata."""
