"""Items of the long-term store, each principal's own."""
