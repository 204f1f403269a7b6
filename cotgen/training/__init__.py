"""Training: what trainers need of data sets, without any trainer in it but in `adapters`."""
