"""Shards: the folder that can be published, written whole or not at all, and read back with every check."""
