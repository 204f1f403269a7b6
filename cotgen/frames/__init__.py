"""Exact frames: index, decode, encode, measure, store."""
