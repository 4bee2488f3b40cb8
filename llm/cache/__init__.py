"""Answers that were given before: exact, shared, similar."""
