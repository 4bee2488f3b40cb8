"""Benchmarks, always beside bare LangGraph in the same run. `make bench` runs them; no test does."""
