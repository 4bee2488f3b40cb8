"""The authorization server: Authlib's protocol core over our rows."""
