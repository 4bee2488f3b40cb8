"""Signing keys: pending, active, retiring, retired."""
