"""Any API that answers a GET for one invoice with JSON, read by paths and words of the user's.

- `fields.py`: what is asked for; `checks.py`: what is wrong with it
- `paths.py`, `amounts.py`, `reading.py`: from an answer to an invoice
- `preview.py`: what a user sees of that before it is saved
- `keys.py`, `pushes.py`: how the key is sent, and which pushes are believed
- `presets.py`: what is known of some APIs
"""

from .api import AnotherApi

__all__ = ["AnotherApi"]
