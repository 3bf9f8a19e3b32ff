"""Putting a release onto a machine, asking the owner the few questions, looking after it, taking it away.

`steps` installs, `removal` uninstalls, `answers` writes the settings, `doctor` checks. Every effect beyond
plain files below the root goes through a `Host`. Nothing here runs in the service, and only the command line
imports it: what of ours it needs besides settings and releases (the one-time code, the journal) is handed in.
"""
