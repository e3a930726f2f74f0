"""Hostile circumstances against every command: ``make campaign``. CONTRIBUTING says how to run it."""
