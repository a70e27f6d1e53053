"""Steps from one layout of the tables to the next; `log.py` takes them when a database opens."""
