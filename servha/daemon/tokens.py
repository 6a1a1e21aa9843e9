"""What a program shows in place of the password: a random word with a scope, of which the cluster keeps the digest.

Decides whether such a word is one of this cluster and still good. The word has 256 random bits, so one round of
SHA-256 is enough for it, and guesses need no delay. What a scope allows is said by the table of verbs.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from servha.config.document import Document, TokenSection
from servha.core.words import Text, say

PREFIX: Final = "servha_"
"""So that people and secret scanners know one when they see it."""
_BYTES: Final = 32


def made() -> str:
    """Return a new token."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(token: str) -> str:
    """Return what is kept of a token.

    >>> digest_of("servha_x")[:12]
    'c599dd90abc4'
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def find(document: Document, digest: str, *, now_unix_s: float) -> TokenSection | Text:
    """Return the token with this digest, or why there is none that is good; both nodes tell the same."""
    found = None
    for one in document.tokens:
        if hmac.compare_digest(one.digest.encode(), digest.encode()):
            found = one
    if found is None:
        return say("it is not one of this cluster, or was removed")
    if found.until_unix_s and now_unix_s >= found.until_unix_s:
        return say("{name} is over", name=found.name)
    return found
