"""Training: what a trainer needs of a data set, without any trainer in it."""
