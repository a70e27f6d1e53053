"""Steps from one layout of the tables to the next; `schema.py` takes them when a database opens."""
