"""Runs of any graph, as the Agent Server API asks for them."""
