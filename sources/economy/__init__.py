"""A simulated industrial economy: firms that make, trade, pay, borrow, lie and fail for reasons."""
