"""An opened artifact as the scheduler sees it: it reads requests into units of work, and runs units.

May import artifact/, text/, engine/ and proof/.
"""
