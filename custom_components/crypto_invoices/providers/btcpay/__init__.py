"""BTCPay Server, a payment server that people host themselves.

Facts: the Greenfield API at docs.btcpayserver.org/API/Greenfield and the
server's source (github.com/btcpayserver/btcpayserver, 2.4.1), which is right
where the two differ.
"""

from .till import BTCPay

__all__ = ["BTCPay"]
