"""TopstepX through the ProjectX Gateway API.

Pure: `codec`, `limiter`. Doing: `wire` and `writes` (orders), `tokens`, `rest`, `hub`, `reads`, `products`,
`adapter`, `simclock`. Only `adapter.TopstepX` and `simclock` are meant for the outside.
"""
