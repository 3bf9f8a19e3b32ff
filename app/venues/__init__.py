"""The real venues, one package each. They implement `engine.ports.Venue` and never import each other."""
