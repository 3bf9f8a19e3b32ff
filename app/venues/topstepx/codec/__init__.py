"""The wire of the venue as values, and values as its wire. Pure: no asyncio, socket, clock or file.

`fields` scalars, `entities` the shapes shared by REST and hub, `requests` bodies, `replies` REST answers and
what they prove, `signalr` hub records, `http1` the answers on our own connections, `jwt` the life of a token.
"""
