"""Stories told with a real Home Assistant and the sandbox, in processes of their own."""
