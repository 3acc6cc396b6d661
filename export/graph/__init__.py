"""The parts of graphs: the builder, inputs, attention, rotary embedding, heads, the traced fallback.

May import checkpoint/.
"""
