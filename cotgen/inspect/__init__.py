"""Looking at a finished data set: the viewer, the marks of reviewers, what can be counted."""
