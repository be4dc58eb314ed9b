"""Features of all sources but invoices: a catalogue in YAML, compiled to one statement over silver as known."""
