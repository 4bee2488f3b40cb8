"""Threads, turns, runs and approvals: what drives the graph."""
