"""Contradictions: where two sources disagree as only a lie makes them; a catalogue and SQL, compiled to statements."""
