"""The engine: one owner of all trading state, driven by calls, speaking through the Protocols of `ports`."""
