"""The words that every part of the package shares."""
