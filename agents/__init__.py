"""Agents as data, and how one becomes a subgraph."""
