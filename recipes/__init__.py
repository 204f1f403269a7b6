"""Recipes: four stages from simple answers to self-improvement; see README.md."""
