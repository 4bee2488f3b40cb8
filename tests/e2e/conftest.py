"""Fixtures of tests that look at the whole."""

from tests.support.browser import browser

__all__ = ["browser"]
