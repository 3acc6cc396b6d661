"""The HTTP application and its server: what comes in is bounded, read and answered here. May import all of serve/."""
