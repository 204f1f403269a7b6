"""Looking at a finished data set and handing it on: numbers, the viewer, marks of reviewers, exports."""
