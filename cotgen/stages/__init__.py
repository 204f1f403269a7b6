"""Stages: what the scripts in `recipes/` share. From a line of arguments to a trainer that runs."""
