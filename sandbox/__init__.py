"""A local stand-in for the payment providers: their APIs, a page to pay on, faults to switch on."""
