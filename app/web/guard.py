"""Who may talk to the page, decided from a request's head alone. Pure: headers in, refusal out. No login
here.

Three attacks are kept out: a foreign name that resolves to this machine (DNS rebinding, by the Host header),
a foreign page that posts to this one (by Origin, Sec-Fetch-Site, content type and a header no form can send),
and a foreign page that embeds this one (by the response headers).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

CUSTOM_HEADER = "X-Plimsoll"
CUSTOM_VALUE = "1"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
# Sent with every answer. No HSTS: this page is plain HTTP on the owner's own network.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Server": "Plimsoll",
}

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9.-]{1,253}))(?::[0-9]{1,5})?", re.ASCII)


class Refusal(NamedTuple):
    """An HTTP status and one line that says why."""

    status: int
    text: str


def host_refusal(host: str | None, own_address: str, names: Collection[str]) -> Refusal | None:
    """Refuse (421) unless `host` is the address the connection came in on, or one of `names` (lower case)."""
    matched = _HOST.fullmatch(host or "")
    if matched:
        name = (matched[1] or matched[2]).lower().rstrip(".")
        if name in names or _same_address(name, own_address):
            return None
    return Refusal(421, "this machine does not answer to that name; add it to web.allowed_hosts if it should")


def _same_address(literal: str, own: str) -> bool:
    try:
        return _plain(literal) == _plain(own)
    except ValueError:
        return False


def _plain(text: str) -> object:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def site_refusal(headers: Mapping[str, str], host: str) -> Refusal | None:
    """Refuse (403) what a browser says comes from another page. Other clients send neither header."""
    origin = headers.get("Origin")
    if origin is not None and origin.lower() != f"http://{host}".lower():
        return Refusal(403, "that page may not talk to this one")
    if headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return Refusal(403, "that site may not talk to this one")
    return None


def change_refusal(headers: Mapping[str, str], host: str) -> Refusal | None:
    """Refuse a change that a form or a foreign page could have sent."""
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "a change is sent as application/json")
    if headers.get(CUSTOM_HEADER) != CUSTOM_VALUE:
        return Refusal(403, f"a change carries the header {CUSTOM_HEADER}: {CUSTOM_VALUE}")
    return site_refusal(headers, host)
