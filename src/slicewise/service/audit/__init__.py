"""What the service remembers: every answer, in a chain that shows what was changed or removed."""
