"""The graphs a server offers: compiled once, or made by a factory at every use."""
