"""Breakers, retries, failover, health."""
