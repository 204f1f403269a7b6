"""Chains: how they are written, rendered, read back and checked."""
