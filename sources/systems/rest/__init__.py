"""What the REST systems share: tokens, rate limits, cursors, cached answers, errors, and a documentation page."""
