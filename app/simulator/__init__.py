"""A venue of our own: the exchange, its market, and the servers that speak the ProjectX Gateway API around
them.
"""
