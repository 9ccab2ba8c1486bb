#!/usr/bin/env python3
"""Follow the tickets of a Blue Rings node with libzmq and print totals.

    subscribe.py ENDPOINT COUNT [integer|decimal|rational]

Subscribes to the flood at ENDPOINT (tcp://127.0.0.1:4001), prints "ready"
once the first ping arrived, and after COUNT tickets "name total" for every
counter, sorted. Written from docs/PROTOCOL.md alone: it knows nothing of ids
used twice and of names that expire, and a message lost is a ticket lost.
"""
import sys
from fractions import Fraction

import zmq


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Reader:
    def __init__(self, data):
        self.data, self.pos = data, 0

    def take(self, n):
        if self.pos + n > len(self.data):
            raise ValueError("the message ends early")
        self.pos += n
        return self.data[self.pos - n:self.pos]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        value, shift = 0, 0
        while True:
            b = self.byte()
            value |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return value

    def zigzag(self):
        n = self.varint()
        return n >> 1 if n % 2 == 0 else -(n >> 1) - 1

    def string(self):
        return self.take(self.varint()).decode()

    def number(self, kind):
        if kind == "integer":
            return Fraction(self.zigzag())
        if kind == "decimal":
            scale = self.varint()
            return Fraction(self.zigzag(), 10 ** scale)
        numerator = self.zigzag()
        return Fraction(numerator, self.varint() + 1)


def body_of(message):
    """Checks the frame; returns the type and the body."""
    if message[:2] != b"BR" or message[2] != 1:
        raise ValueError("not a message of protocol version 1")
    if crc32c(message[:-4]) != int.from_bytes(message[-4:], "big"):
        raise ValueError("wrong checksum")
    return message[3], message[8:-4]


def tickets(body, kind):
    """Yields (origin, seq, timestamp, op, name, amount, text) of a run."""
    r = Reader(body)
    if r.byte() != 1:
        raise ValueError("unknown format of a run")
    origin = r.string(), int.from_bytes(r.take(8), "big")
    seq, _, count = r.varint(), r.varint(), r.varint()
    at, names = 0, []
    for _ in range(count):
        head = r.byte()
        if head & 0x80:
            seq += r.varint()
        at += r.varint()
        index = r.varint()
        if index == 0:
            names.append(r.string())
            index = len(names)
        op, amount, text = head & 7, None, ""
        if op == 1:
            amount = r.number(kind)
        if head & 0x40:
            text = r.string()
        if head & 0x08:
            r.varint()  # expiry
        if head & 0x10:
            r.string()  # id
        if head & 0x20:
            r.string()  # ref
        yield origin, seq, at, op, names[index - 1], amount, text
        seq += 1
    if r.pos != len(r.data):
        raise ValueError("bytes follow the run")


def show(total):
    """Decimals as such, everything else as an integer or a quotient."""
    places, rest = 0, total.denominator
    while rest % 10 == 0 or rest % 2 == 0 or rest % 5 == 0:
        rest = rest // 10 if rest % 10 == 0 else rest // (2 if rest % 2 == 0 else 5)
        places += 1
    if rest != 1 or places == 0:
        return str(total)
    digits = str(abs(total.numerator) * 10 ** places // total.denominator).rjust(places + 1, "0")
    text = (digits[:-places] + "." + digits[-places:]).rstrip("0").rstrip(".")
    return "-" + text if total < 0 else text


def main():
    endpoint, wanted = sys.argv[1], int(sys.argv[2])
    kind = sys.argv[3] if len(sys.argv) > 3 else "decimal"
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.subscribe(b"tickets")
    socket.subscribe(b"ping")
    socket.connect(endpoint)
    seen, totals, ready = set(), {}, False
    while len(seen) < wanted:
        topic, message = socket.recv_multipart()
        type_, body = body_of(message)
        if not ready:
            ready = True
            print("ready", flush=True)
        if topic != b"tickets" or type_ != 2:
            continue
        for origin, seq, _, op, name, amount, _ in tickets(body, kind):
            if (origin, seq) in seen:
                continue  # flooded twice
            seen.add((origin, seq))
            if op in (0, 1):
                totals[name] = totals.get(name, Fraction(0)) + (amount or 0)
    for name in sorted(totals):
        print(name, show(totals[name]), flush=True)


if __name__ == "__main__":
    main()
