"""The opponent: what a user would write for the core `rest` integration, for many invoices.

As one resource per hundred invoices, or one per invoice. Each sensor picks its
invoice from the answer and says whether it is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import batched
import json
from typing import Any

MOST_IN_A_RESOURCE = 100
ANSWERED = "value_json is defined and value_json.get('status') == 'success'"


def _sensor(invoice_id: str, rows: str) -> dict[str, Any]:
    """Return a sensor for the status of an invoice."""
    return {
        "name": f"Invoice {invoice_id}",
        "unique_id": f"rest_{invoice_id}",
        "availability": f"{{{{ {ANSWERED} and {rows} | list | count > 0 }}}}",
        "value_template": f"{{{{ ({rows} | first).status }}}}",
    }


def _resource(
    url: str, authorization: str, invoice_ids: Iterable[str], sensors: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a resource, which is one request per interval."""
    return {
        "resource": f"{url}/v2/invoice/merchant/info",
        "method": "POST",
        "headers": {"Authorization": authorization, "Content-Type": "application/json"},
        "payload": json.dumps({"uuids": [*invoice_ids]}),
        # The bench asks when it is time to.
        "scan_interval": 86_400,
        "timeout": 10,
        "sensor": sensors,
    }


def in_batches(url: str, authorization: str, invoice_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return the configuration with as few requests as there can be."""
    return [
        _resource(
            url,
            authorization,
            batch,
            [
                _sensor(id_, f"value_json.result | selectattr('uuid', 'eq', '{id_}')")
                for id_ in batch
            ],
        )
        for batch in batched(invoice_ids, MOST_IN_A_RESOURCE, strict=False)
    ]


def one_by_one(url: str, authorization: str, invoice_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return the configuration that tutorials lead to."""
    return [
        _resource(url, authorization, (id_,), [_sensor(id_, "value_json.result")])
        for id_ in invoice_ids
    ]
