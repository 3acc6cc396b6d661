"""Adapters to frameworks and engines, one file each, which nothing else imports. Each needs the package it is named
after; it may touch everything but the command line."""
