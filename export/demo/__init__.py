"""The demo checkpoint that ships with the package."""
