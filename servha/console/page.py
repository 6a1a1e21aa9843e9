"""The console's files, and what a browser may do with them: nothing that does not come from here.

Decides headers. The only script inside a page is the import map, and the policy names its hash; styles, scripts and
connections come from this server alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Final

import servha

NO_CACHE: Final = "no-cache"
"""Ask each time whether it has changed: an upgraded node shows its new page at once."""
_INLINE: Final = re.compile(rb"<script\b([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)

ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()"),
)


def web_directory() -> Path:
    """Return where the pages are: beside the programs when installed, in the checkout otherwise."""
    installed = Path(sys.prefix) / "web"
    return installed if installed.is_dir() else Path(servha.__file__).parent.parent / "web"


def inline_hashes(page: bytes) -> list[str]:
    """Return the policy's words for the scripts that stand in the page itself.

    >>> inline_hashes(b'<script type="importmap">{}</script><script src="/a.js"></script>')
    ["'sha256-RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o='"]
    """
    return [
        f"'sha256-{base64.b64encode(hashlib.sha256(body).digest()).decode()}'"
        for attributes, body in _INLINE.findall(page)
        if b"src=" not in attributes.lower()
    ]


def naming(page: bytes, others: Sequence[str]) -> bytes:
    """Return the page with the consoles that its policy lets it ask for, so that its script knows them.

    >>> naming(b"<html lang=en>", ["https://192.0.2.2:7700"])
    b'<html data-others="https://192.0.2.2:7700" lang=en>'
    """
    return page.replace(b"<html ", f'<html data-others="{escape(" ".join(others))}" '.encode(), 1)


def policy(page: bytes, others: Sequence[str] = ()) -> str:
    """Return the Content-Security-Policy for a page that may ask whether one of `others` is there."""
    scripts = " ".join(["'self'", *inline_hashes(page)])
    connect = " ".join(["'self'", *others])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:; connect-src {connect}; "
        "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


StartResponse = Callable[..., Any]


def secured(application: Callable[..., Any]) -> Callable[..., Any]:
    """Return the application with the headers that every response has, the error pages of the library too.

    No Strict-Transport-Security: it would hold for every port of this host, and the application's may speak HTTP.
    """

    def start(begin: StartResponse, status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        present = {name.lower() for name, _ in headers}
        more = [pair for pair in ALWAYS if pair[0].lower() not in present]
        if "content-security-policy" not in present:
            more.append(("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
        return begin(status, [*headers, *more], *rest)

    def handle(environ: dict[str, Any], begin: StartResponse) -> Any:
        return application(environ, partial(start, begin))

    return handle
