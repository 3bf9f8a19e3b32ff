"""Pure trading domain: integers and tables; no asyncio, no I/O, no clock."""
