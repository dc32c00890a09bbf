"""Models beside each other: summaries over seeds, tests, and tables."""
