"""People: accounts, passwords, sign-in."""
