"""The Hub: publishing a data set, and a test Hub that speaks what the real client asks."""
