"""`python -m codelab.cli` is `codelab`."""

from .app import main

main()
