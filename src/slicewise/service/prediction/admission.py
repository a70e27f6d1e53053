"""Who is let in: so many slices, bytes and pixels at a time; the others are told to come back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from slicewise.errors import OverloadError


class Door:
    """Counts what is inside; used from the event loop only, but for pixels, which have a lock."""

    def __init__(
        self, slices: int, size: int, pixels: int, answers: int, each_s: Callable[[], float]
    ) -> None:
        """Start empty.

        Args:
            slices: Most of them inside.
            size: Most bytes of uploads inside.
            pixels: Most decoded pixels inside.
            answers: Most bytes of pictures and of answers that wait to be taken.
            each_s: Seconds that one slice takes, to tell others when to come back.
        """
        self._slices = slices
        self._bytes = size
        self._pixels = pixels
        self._answers = answers
        self._lock = Lock()
        self._each_s = each_s
        self.waiting = 0
        """Slices inside; a request counts one until it is known how many it holds."""
        self.bytes_held = 0
        self.pixels_held = 0
        self.answers_held = 0

    @contextmanager
    def enter(self, *, sending: bool = False) -> Iterator[Ticket]:
        """Let one request in, until the context ends.

        Args:
            sending: Whether its body is still to come. It takes no place then before
                `Ticket.arrive`: slow clients would take all places, and wait for nothing.

        Raises:
            OverloadError: It is full.
        """
        self._require(self.waiting < self._slices)
        ticket = Ticket(self, slices=0)
        if not sending:
            ticket.arrive()
        try:
            yield ticket
        finally:
            ticket.leave()

    def take_place(self) -> None:
        """A place for one slice, inside from now on.

        Raises:
            OverloadError: There is none left.
        """
        self._require(self.waiting < self._slices)
        self.waiting += 1

    def take(self, slices: int) -> int:
        """Room for so many more slices, or as many as there is room for.

        Returns:
            How many; they are inside from now on.
        """
        granted = max(0, min(slices, self._slices - self.waiting))
        self.waiting += granted
        return granted

    def hold(self, size: int) -> None:
        """Count bytes that were read.

        Raises:
            OverloadError: It is full.
        """
        self._require(self.bytes_held + size <= self._bytes)
        self.bytes_held += size

    def has_room_to_answer(self, size: int) -> bool:
        """Whether so many bytes of an answer may be kept; they are counted then."""
        if self.answers_held + size > self._answers:
            return False
        self.answers_held += size
        return True

    @contextmanager
    def answering(self, size: int) -> Iterator[None]:
        """Count an answer until its client has taken it.

        Raises:
            OverloadError: It is full.
        """
        self._require(self.has_room_to_answer(size))
        try:
            yield
        finally:
            self.answers_held -= size

    def hold_pixels(self, count: int) -> None:
        """Count pixels that were decoded; from any thread.

        Raises:
            OverloadError: It is full.
        """
        with self._lock:
            self._require(self.pixels_held + count <= self._pixels)
            self.pixels_held += count

    def free_pixels(self, count: int) -> None:
        """Give room for pixels back; from any thread."""
        with self._lock:
            self.pixels_held -= count

    def _require(self, room: bool) -> None:
        if not room:
            wait = max(1, math.ceil(self.waiting * self._each_s()))
            raise OverloadError(f"all places are taken; come back in {wait} s", wait)


class Ticket:
    """What one request has inside; made by `Door.enter`.

    Args:
        door: Where it is counted.
        slices: Inside from the start.
    """

    def __init__(self, door: Door, slices: int) -> None:
        self._door = door
        self._slices = slices
        self._bytes = self._pixels = self._answer = 0
        self._holders = 1

    def arrive(self) -> None:
        """Take a place, which counts as one slice until it is known how many there are.

        Raises:
            OverloadError: There is none left.
        """
        self._door.take_place()
        self._slices += 1

    def hold(self, size: int) -> None:
        """Count bytes of an upload as they are read; see `Door.hold`."""
        self._door.hold(size)
        self._bytes += size

    def hold_pixels(self, count: int) -> None:
        """Count pixels as they are decoded; see `Door.hold_pixels`."""
        self._door.hold_pixels(count)
        self._pixels += count

    def has_room_to_answer(self, size: int) -> bool:
        """Whether so many bytes of pictures may be kept; see `Door.has_room_to_answer`."""
        room = self._door.has_room_to_answer(size)
        self._answer += size if room else 0
        return room

    def share(self) -> None:
        """Keep what is inside until `leave` was called once more, whoever leaves first."""
        self._holders += 1

    def hand_over(self) -> Ticket:
        """The pixels on a ticket of their own, for work that goes on after the request."""
        other = Ticket(self._door, slices=0)
        other._pixels, self._pixels = self._pixels, 0
        return other

    def more(self, slices: int) -> int:
        """Room beyond the one slice that every request may have in work; see `Door.take`."""
        granted = self._door.take(slices)
        self._slices += granted
        return granted

    def less(self, slices: int) -> None:
        """Give room back."""
        self._door.waiting -= slices
        self._slices -= slices

    def leave(self) -> None:
        """Give everything back, once nobody else shares it."""
        self._holders -= 1
        if self._holders:
            return
        self._door.free_pixels(self._pixels)
        self._door.waiting -= self._slices
        self._door.bytes_held -= self._bytes
        self._door.answers_held -= self._answer
        self._slices = self._bytes = self._pixels = self._answer = 0
