"""What the integration costs, beside the core `rest` integration and beside the floor."""
