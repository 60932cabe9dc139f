"""LNbits, a Lightning wallet that people host themselves.

Facts: LNbits 1.6.2, by its own answers and its source (github.com/lnbits/lnbits);
the shapes of older releases too. An invoice is named by its payment hash, in
lower-case hex.
"""

from .till import LNbits

__all__ = ["LNbits"]
