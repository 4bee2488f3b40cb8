"""Measured behaviour: suites, runners, scorers, report."""
