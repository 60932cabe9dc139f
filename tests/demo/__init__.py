"""Tests of the demo, without a Home Assistant: `script/demo --check` runs the real one."""
