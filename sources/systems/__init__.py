"""The systems that hold a world's data, each spoken to over its real protocol."""
