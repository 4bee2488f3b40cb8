"""What an agent can do, and what it may do."""
