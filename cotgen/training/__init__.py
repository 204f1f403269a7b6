"""Training: what trainers need of data sets, and how a run reads them."""
