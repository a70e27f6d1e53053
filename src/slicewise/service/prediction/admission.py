"""Admission control: so many slices, bytes and pixels at a time; others are told to come back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from slicewise.errors import OverloadError


@dataclass(slots=True, eq=False)
class AdmissionControl:
    """Counts what is admitted; used from the event loop only, but for pixels, which have a lock."""

    most_slices: int
    most_bytes: int  # of uploads
    most_pixels: int  # decoded
    most_answer_bytes: int  # of pictures, and of answers that clients have not taken yet
    seconds_per_slice: Callable[[], float]  # measured, to tell others when to come back
    waiting: int = 0  # slices in work; a request counts one until it is known how many it holds
    bytes_held: int = 0
    pixels_held: int = 0
    answers_held: int = 0
    lock: Lock = field(default_factory=Lock)

    @contextmanager
    def admit(self, *, sending: bool = False) -> Iterator[Admission]:
        """Admit one request until the context ends.

        Where its body is still to come (`sending`), it takes no place before `take_place`: slow
        clients would take all places, and wait for nothing.

        Raises:
            OverloadError: It is full.
        """
        self.require(self.waiting < self.most_slices)
        admission = Admission(self)
        if not sending:
            admission.take_place()
        try:
            yield admission
        finally:
            admission.release()

    @contextmanager
    def answering(self, size: int) -> Iterator[None]:
        """Count the bytes of an answer until its client has taken it, or OverloadError."""
        admission = Admission(self)
        self.require(admission.hold_answer(size))
        try:
            yield
        finally:
            admission.release()

    def require(self, room: bool) -> None:
        """Raise an `OverloadError` that says when to come back, unless there is room."""
        if not room:
            wait = max(1, math.ceil(self.waiting * self.seconds_per_slice()))
            raise OverloadError(f"all places are taken; come back in {wait} s", wait)


class Admission:
    """What one request holds; made by `AdmissionControl.admit`.

    What takes room raises OverloadError where there is none.
    """

    def __init__(self, control: AdmissionControl) -> None:
        self._control = control
        self._slices = self._bytes = self._pixels = self._answer = 0
        self._holders = 1

    def take_place(self) -> None:
        """Take a place, which counts as one slice until it is known how many there are."""
        self._control.require(self.add_slices(1) == 1)

    def add_slices(self, wanted: int) -> int:
        """Take room for more slices, or for as many as there is room; returns how many."""
        granted = max(0, min(wanted, self._control.most_slices - self._control.waiting))
        self._control.waiting += granted
        self._slices += granted
        return granted

    def remove_slices(self, slices: int) -> None:
        self._control.waiting -= slices
        self._slices -= slices

    def hold_bytes(self, size: int) -> None:
        self._control.require(self._control.bytes_held + size <= self._control.most_bytes)
        self._control.bytes_held += size
        self._bytes += size

    def hold_pixels(self, count: int) -> None:
        """Count pixels as they are decoded; from any thread."""
        with self._control.lock:
            self._control.require(self._control.pixels_held + count <= self._control.most_pixels)
            self._control.pixels_held += count
        self._pixels += count

    def hold_answer(self, size: int) -> bool:
        """Count bytes of an answer, where there is room for them; returns whether there is."""
        room = self._control.answers_held + size <= self._control.most_answer_bytes
        if room:
            self._control.answers_held += size
            self._answer += size
        return room

    def share(self) -> None:
        """Keep everything until `release` was called once more, whoever calls it first."""
        self._holders += 1

    def hand_over_pixels(self) -> Admission:
        """The pixels as an admission of their own, for work that goes on after the request."""
        other = Admission(self._control)
        other._pixels, self._pixels = self._pixels, 0
        return other

    def release(self) -> None:
        """Give everything back, once nobody else shares it."""
        self._holders -= 1
        if self._holders:
            return
        with self._control.lock:
            self._control.pixels_held -= self._pixels
        self._control.waiting -= self._slices
        self._control.bytes_held -= self._bytes
        self._control.answers_held -= self._answer
        self._slices = self._bytes = self._pixels = self._answer = 0
