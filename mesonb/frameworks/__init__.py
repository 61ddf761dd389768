"""What decides for a program, and what people subclass. Imports the core alone, so each runs live and simulated."""
