"""Which models may answer, and which of them is cheap enough and good enough."""
