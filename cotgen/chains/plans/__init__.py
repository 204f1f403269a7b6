"""The plans of template chains: one module per group of tasks."""
