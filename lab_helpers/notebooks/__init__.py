"""The notebooks as files: one normal form, a catalogue, and running them without a browser."""
