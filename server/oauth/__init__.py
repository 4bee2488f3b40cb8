"""The routes of the authorization server: `/oauth` and `/.well-known`."""
