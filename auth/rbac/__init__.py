"""Roles: what people may do."""
