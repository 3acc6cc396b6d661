"""Shares the processor between requests: admission, fair rounds of work, shared computations, deadlines.

May import model/ and errors.
"""
