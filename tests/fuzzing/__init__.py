"""Fuzzing of everything that reads files: ``make fuzz``. CONTRIBUTING says how to run it."""
