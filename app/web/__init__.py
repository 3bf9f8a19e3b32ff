"""The page, its JSON API, the live stream, the login, and the command port of the machine's own users.

Everything here reads one `engine.snapshot.Snapshot` and changes things only through `engine.commands`. No
trading rule lives here, no money is computed here.
"""
