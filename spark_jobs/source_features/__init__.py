"""Features of all sources but invoices: a catalogue in YAML, compiled to statements over silver as known."""
