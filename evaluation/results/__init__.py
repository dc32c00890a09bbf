"""What suites measured, and the records of it on disk."""
