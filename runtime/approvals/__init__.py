"""Tool calls that a person must decide."""
