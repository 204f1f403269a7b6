"""From finished data sets to trainers: rows for fine-tuning and reinforcement learning."""
