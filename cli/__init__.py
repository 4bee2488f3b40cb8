"""The `codelab` command. Modules that name a command import nothing heavy; `--help` must not wait for LangChain."""

from .app import main

__all__ = ["main"]
