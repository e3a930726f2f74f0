"""Pictures of data and results. Reads files only."""
