"""A process that writes as fast as it can and says what was acknowledged, until it is killed."""

from __future__ import annotations

import os
import sys
import threading
from datetime import UTC, datetime

from builders_records import KEY, record
from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.store import AuditStore

store = AuditStore.open(AuditSettings(database_url=sys.argv[1], key=KEY))


def write_on() -> None:
    while True:
        made = [record(created=datetime.now(UTC)) for _ in range(3)]
        store.submit(made).result()
        ids = "".join(one.id + "\n" for one in made)
        os.write(1, ids.encode())  # one call, so that a kill never leaves half a line


threads = [threading.Thread(target=write_on) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
