"""The demo checkpoint, shipped inside the package."""
