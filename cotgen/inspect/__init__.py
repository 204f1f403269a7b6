"""Looking at a finished data set, and handing it on: what a person or another program makes of it."""
