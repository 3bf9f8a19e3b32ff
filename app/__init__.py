"""Plimsoll: a trading appliance. One process, two desks, one engine, one gate, one journal, one kill switch."""
