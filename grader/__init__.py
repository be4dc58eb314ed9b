"""Compares what the lakehouse says with the truth of a simulated world; nothing else reads that truth."""
