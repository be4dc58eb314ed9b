"""Source systems that stand outside the lakehouse: they make files, the lakehouse only receives them."""
