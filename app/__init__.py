"""Plimsoll: a trading appliance. One process, one engine, one gate, one journal, one kill switch."""
