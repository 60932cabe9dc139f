"""The opponent's configuration."""

import json

import pytest

from bench.peer import in_batches, one_by_one

IDS = [f"INV-{number:08X}" for number in range(250)]


@pytest.mark.parametrize(("write", "requests"), [(in_batches, 3), (one_by_one, 250)])
def test_configuration(write: object, requests: int) -> None:
    """Each invoice is asked for once, and has a sensor."""
    assert callable(write)
    resources = write("http://made.up", "Token KEY", IDS)
    assert len(resources) == requests
    asked = [id_ for resource in resources for id_ in json.loads(resource["payload"])["uuids"]]
    assert asked == IDS
    sensors = [sensor for resource in resources for sensor in resource["sensor"]]
    assert [sensor["unique_id"] for sensor in sensors] == [f"rest_{id_}" for id_ in IDS]
    assert all(("selectattr" in sensor["value_template"]) == (requests == 3) for sensor in sensors)
