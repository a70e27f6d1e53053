"""The service: one process that answers over HTTP and records every answer."""
