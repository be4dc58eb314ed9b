"""Planted behaviour: what kinds there are, who does it when, and what of it happens before or after the run."""
