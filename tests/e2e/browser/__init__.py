"""What a user clicks through in the frontend, clicked through by Chromium."""
