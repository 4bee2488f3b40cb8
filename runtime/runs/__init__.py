"""Executions of the graph, from the queue to the event log."""
