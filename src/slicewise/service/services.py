"""What one process of the service consists of, opened together and closed together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np

from slicewise.audit_log.keys import KeyStore
from slicewise.audit_log.records import Arm
from slicewise.audit_log.store import AuditStore
from slicewise.errors import ConfigError
from slicewise.inference.classifier import Classifier
from slicewise.service.http.evaluation_jobs import DataRoots, EvaluationJobs
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.prediction.engine import Engine
from slicewise.service.settings import Settings


class Readiness:
    """Whether the audit database can be written; used from the event loop only."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._ping: asyncio.Future[None] | None = None

    async def check(self) -> None:
        """Wait for the answer of the database, or AuditError where it cannot be written.

        Who comes meanwhile waits for the same answer: a database that blocks holds one thread.
        """
        if self._ping is None or self._ping.done():
            self._ping = asyncio.ensure_future(asyncio.to_thread(self._store.ping))
            # Where nobody waits any more, an error is no news.
            self._ping.add_done_callback(lambda ping: ping.cancelled() or ping.exception())
        await asyncio.shield(self._ping)


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """What routes use."""

    settings: Settings
    engine: Engine
    store: AuditStore
    keys: KeyStore
    metrics: Metrics
    jobs: EvaluationJobs
    readiness: Readiness

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics) -> Services:
        """Open the database, load and try every bundle, start the threads.

        Raises:
            AuditError: The database cannot be opened; or as `load_classifiers` raises.
        """
        classifiers = load_classifiers(settings)
        for arm, classifier in classifiers.items():
            metrics.bundle(arm.value, classifier.bundle.reference)
        store = AuditStore.open(settings.audit_log)
        try:
            keys = KeyStore.open(settings.audit_log)
        except BaseException:
            store.close()
            raise
        engine = Engine(settings, classifiers, store, metrics)
        jobs = EvaluationJobs(DataRoots(settings.data_roots), settings.request_timeout_s)
        return cls(settings, engine, store, keys, metrics, jobs, Readiness(store))

    async def close(self) -> None:
        """Answer and write what waits, then close everything."""
        await self.engine.close()
        self.jobs.close()
        await asyncio.to_thread(self.store.close)
        await asyncio.to_thread(self.keys.close)


def load_classifiers(settings: Settings) -> dict[Arm, Classifier]:
    """The main bundle and, where one is set, its challenger, each tried once.

    Raises:
        BundleError: A bundle is missing, incomplete, changed, or gives numbers that are none.
        ConfigError: They have other classes.
    """
    loaded = {}
    for arm, path in ((Arm.MAIN, settings.bundle), (Arm.CHALLENGER, settings.challenger)):
        if arm is Arm.MAIN or path is not None:
            loaded[arm] = classifier = Classifier.load(path, settings.threads)
            size = classifier.bundle.info.preprocessing.size
            classifier.run(np.zeros((1, 1, size, size), dtype=np.float32))
    tasks = {(c.bundle.classes, c.bundle.negative_class) for c in loaded.values()}
    if len(tasks) > 1:
        raise ConfigError("challenger: expected the classes of the main bundle, got others")
    return loaded
