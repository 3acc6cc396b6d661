"""The parts that graphs are built of: the builder, inputs, attention, rotary embedding, heads, the traced fallback.

May import checkpoint/.
"""
