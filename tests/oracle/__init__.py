"""Independent recomputation from raw files: what the product's tables are compared with."""
