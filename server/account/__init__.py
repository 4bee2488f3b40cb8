"""The pages of sign-in, consent and the account."""
