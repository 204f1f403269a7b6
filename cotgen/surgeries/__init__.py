"""Surgeries: which ones are the same, which split each has, what their sources say together, what train teaches."""
