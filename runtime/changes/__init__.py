"""What the turns did to the files."""
