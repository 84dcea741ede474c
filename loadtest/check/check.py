#!/usr/bin/env python3
"""The ledger against a dump of the log, by a program that shares no code with what it checks.

    loadtest send --ledger ledger.jsonl …
    (stop the server)
    cargo run -p eventlog --example dump -- DATA/log log.dump
    python3 loadtest/check/check.py ledger.jsonl log.dump

It reads the log's records by itself (schemas/proto/record.proto: protobuf, decoded here), drops the copies of a
payload's part that lie behind the first one in their partition, adds up what is left, and compares:

- every acknowledged payload is in the log, whole; every refused one is not; the log has no payload that nobody sent;
- acknowledged <= counted <= acknowledged + unknown, for each environment, flag, variation, version and minute, for each
  custom event, and for the elements of each environment; nothing is late and nothing is rejected.

Exits with 1, and prints the first differences, if anything is not what it may be. Standard library only.
"""

import argparse
import json
import struct
import sys
from collections import Counter, defaultdict

MAGIC = b"flagstream dump 1\n"
FRAME = struct.Struct(">IQqII")  # partition, offset, append time, bytes of the header, bytes of the body
MINUTE_MS = 60_000
PAYLOAD, DEFINITION, GENERATION, NUMBERS, OUTCOMES = 1, 2, 3, 4, 5
SENT_BY_SDK = 1
SHOWN_MAX = 20


class Unreadable(Exception):
    """What was read is no ledger, or no dump."""


# --- protobuf -------------------------------------------------------------------------------------------------------


def varints(data):
    """All numbers of a packed column."""
    numbers, number, shift = [], 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            numbers.append(number)
            number, shift = 0, 0
    if shift:
        raise Unreadable("a number ends in the middle")
    return numbers


def varint(data, at):
    """The number at a place, and the place behind it."""
    number, shift = 0, 0
    while True:
        if at >= len(data):
            raise Unreadable("a message ends in the middle of a number")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def fields(data):
    """The fields of a message: number, then a number or bytes."""
    at, end = 0, len(data)
    while at < end:
        # Most tags and lengths are one byte.
        tag, at = (data[at], at + 1) if data[at] < 0x80 else varint(data, at)
        kind = tag & 7
        if kind == 0:
            number, at = varint(data, at)
            yield tag >> 3, number
        elif kind == 2:
            length, at = (data[at], at + 1) if at < end and data[at] < 0x80 else varint(data, at)
            if at + length > end:
                raise Unreadable("a message ends in the middle of a field")
            yield tag >> 3, data[at : at + length]
            at += length
        else:
            raise Unreadable(f"a field has the wire type {kind}, which no record has")


def column(value):
    """A repeated number, packed or not."""
    return [value] if isinstance(value, int) else varints(value)


def signed(number):
    """A zigzag number."""
    return (number >> 1) ^ -(number & 1)


def columns(data):
    """A table: field number -> numbers."""
    table = defaultdict(list)
    for number, value in fields(data):
        table[number] += column(value)
    return table


# --- records --------------------------------------------------------------------------------------------------------


class Header:
    """A record's header."""

    def __init__(self, data):
        plain = {1: 0, 2: 0, 3: b"", 4: b"", 5: 0, 6: b"", 7: 0, 8: 0, 9: 0, 10: 0}
        self.refused = 0
        for number, value in fields(data):
            if number in (11, 12):
                self.refused += dict(fields(value)).get(2, 0)
            else:
                plain[number] = value
        if plain[1] != 1:
            raise Unreadable(f"a record has the form {plain[1]}, this program reads 1")
        self.kind = plain[2]
        self.environment = plain[3].decode() + "/" + plain[4].decode()
        self.id_kind = plain[5]
        self.payload = plain[6]
        self.part = plain[7]
        self.home = bool(plain[8])
        self.accepted = plain[9]
        self.received_ms = signed(plain[10])


class Body:
    """A payload's part."""

    def __init__(self, data):
        self.texts, self.late, self.counts, self.conversions = [], 0, b"", b""
        for number, value in fields(data):
            if number == 8:
                self.texts.append(value)
            elif number == 9:
                self.late = value
            elif number == 11:
                self.counts = value
            elif number == 14:
                self.conversions = value

    def text(self, number):
        return self.texts[number - 1].decode()


def served(body, variation):
    """The variation's index; None = the caller's own default."""
    if variation == 0:
        return None
    if variation & 1:
        return variation >> 1
    return body.text(variation >> 1)


def evaluations(body):
    """Rows (flag, variation, version, minutes after receipt, count)."""
    table = columns(body.counts)
    flags, variations, versions, counts = table[1], table[2], table[3], table[5]
    minutes = [signed(minute) for minute in table[6]]
    if not len(flags) == len(variations) == len(versions) == len(counts) == len(minutes):
        raise Unreadable("the columns of a table of counts have different lengths")
    rows = []
    for flag, variation, version, minute, count in zip(flags, variations, versions, minutes, counts):
        if count:
            known = version - 1 if version else None
            rows.append((body.text(flag), served(body, variation), known, minute, count))
    return rows


def custom_events(body):
    """Rows (key, count, value in millionths or None)."""
    table = columns(body.conversions)
    keys, kinds, values, marks, sampling = table[1], table[2], table[4], table[5], table[6]
    if not len(keys) == len(kinds) == len(values) == len(marks) == len(sampling):
        raise Unreadable("the columns of a table of custom events have different lengths")
    for key, kind, value, mark, times in zip(keys, kinds, values, marks, sampling):
        if kind == 1:
            yield body.text(key), max(times, 1), signed(value) if mark & 1 else None


def dumped(path):
    """The records of a dump: partition, header, body."""
    expected = defaultdict(int)
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Unreadable(f"`{path}` is no dump of a log")
        while frame := file.read(FRAME.size):
            if len(frame) < FRAME.size:
                raise Unreadable(f"`{path}` ends in the middle of a record")
            partition, offset, _, header_bytes, body_bytes = FRAME.unpack(frame)
            if offset != expected[partition]:
                raise Unreadable(
                    f"partition {partition} has offset {offset} where {expected[partition]} was expected: what lies"
                    " before is not in the dump; dump it before the log lets it go (log.retain_mib)"
                )
            expected[partition] += 1
            data = file.read(header_bytes + body_bytes)
            if len(data) < header_bytes + body_bytes:
                raise Unreadable(f"`{path}` ends in the middle of a record")
            yield partition, data[:header_bytes], data[header_bytes:]


class Log:
    """What the log holds, each part once."""

    def __init__(self, path, without):
        self.records = 0
        self.duplicates = 0
        self.elements = Counter()  # by payload
        self.counted = Counter()  # elements by environment
        self.accepted = Counter()
        self.late = Counter()
        self.refused = Counter()
        self.environments = {}  # by payload
        self.events = defaultdict(lambda: [0, 0, 0])
        self._rows = {}  # what a table of counts says, by its bytes: payloads prepared ahead come again and again
        self._alike = Counter()  # (environment, rows, minute of receipt) -> how often
        seen = set()
        for partition, header, body in dumped(path):
            self.records += 1
            header = Header(header)
            if header.kind in (DEFINITION, GENERATION) or header.environment not in without:
                self._take(partition, header, body, seen)
        self.cells = self._cells()

    def _take(self, partition, header, data, seen):
        # What became of writes of an old path is no matter of the ledger.
        if header.kind in (DEFINITION, GENERATION, OUTCOMES):
            return
        if header.home:
            self.refused[header.environment] += header.refused
        if header.kind == NUMBERS or not header.home:
            return
        if header.kind != PAYLOAD:
            raise Unreadable(f"a record has the kind {header.kind}, which this program does not know")
        self.accepted[header.environment] += header.accepted
        if header.id_kind:
            part = (partition, header.environment, header.id_kind, header.payload, header.part)
            if part in seen:
                self.duplicates += 1
                return
            seen.add(part)
        body = Body(data)
        if header.id_kind == SENT_BY_SDK:
            payload = header.payload.decode()
            self.elements[payload] += header.accepted
            self.environments[payload] = header.environment
        elif header.accepted:
            raise Unreadable("the log has events without a payload id, of which no ledger can know")
        self.counted[header.environment] += header.accepted - body.late
        self.late[header.environment] += body.late
        if body.counts:
            key = (tuple(body.texts), body.counts)
            if key not in self._rows:
                self._rows[key] = evaluations(body)
            self._alike[header.environment, key, header.received_ms // MINUTE_MS] += 1
        for key, count, value in custom_events(body):
            totals = self.events[header.environment, key]
            totals[0] += count
            if value is not None:
                totals[1] += count
                totals[2] += value * count

    def _cells(self):
        """(environment, flag, variation, version, minute) -> evaluations."""
        cells = Counter()
        for (environment, key, received), times in self._alike.items():
            for flag, variation, version, minute, count in self._rows[key]:
                cells[environment, flag, variation, version, (received + minute) * MINUTE_MS] += count * times
        return cells


# --- ledger ---------------------------------------------------------------------------------------------------------


def lines(path):
    """The lines of a ledger. One torn by its writer's death is passed over, at the end or before a run."""
    torn = None
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            try:
                (kind, value), = json.loads(text).items()
            except (ValueError, AttributeError):
                kind, value = None, None
            if torn and kind != "run":
                raise Unreadable(f"line {torn} of the ledger cannot be read, and no run begins after it")
            torn = number if kind is None else None
            if kind is not None:
                yield kind, value


class Contents:
    """What a payload holds: one of these serves all payloads that hold the same."""

    __slots__ = ("elements", "evaluations", "events")

    def __init__(self, said):
        self.elements = said["elements"]
        row = lambda row: (sys.intern(row["flag"]), row["variation"], row["version"], row["minute_ms"], row["count"])
        self.evaluations = tuple(map(row, said["evaluations"]))
        row = lambda row: (sys.intern(row["key"]), (row["count"], row["metric_count"], row["metric_micros"]))
        self.events = tuple(map(row, said["events"]))


class Fate:
    """What became of a payload."""

    __slots__ = ("environment", "contents", "attempts", "acknowledged", "refused")

    def __init__(self, environment, contents):
        self.environment, self.contents = environment, contents
        self.attempts = self.acknowledged = self.refused = 0

    def arrived(self):
        """Attempts that arrived: at least, at most."""
        return self.acknowledged, self.attempts - self.refused


def meaning(outcome):
    """1 = the server has it, -1 = it has not, 0 = nobody knows."""
    status = outcome.get("status") if isinstance(outcome, dict) else None
    if status is None:
        return -1 if outcome == "not_connected" else 0
    if 200 <= status <= 299:
        return 1
    return -1 if 400 <= status <= 499 and status not in (400, 408, 429) else 0


class Ledger:
    """What was sent."""

    def __init__(self, path):
        self.payloads = {}
        numbered = {}
        for kind, value in lines(path):
            if kind == "run":
                numbered = {}
            elif kind == "contents":
                numbered[value["number"]] = Contents(value["contents"])
            elif kind == "send":
                fate = self.payloads.get(value["payload"])
                if fate is None:
                    contents = value["contents"]
                    contents = numbered[contents] if isinstance(contents, int) else Contents(contents)
                    environment = sys.intern(value.get("environment", "default/development"))
                    fate = self.payloads[value["payload"]] = Fate(environment, contents)
                fate.attempts += 1
            elif kind == "answer":
                said = meaning(value["outcome"])
                fate = self.payloads[value["payload"]]
                fate.acknowledged += said == 1
                fate.refused += said == -1

    def ranges(self):
        """Cells, custom events and elements, each as [least, most]."""
        alike = Counter()
        accepted, counted = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
        for fate in self.payloads.values():
            least, most = fate.arrived()
            copies = (min(least, 1), min(most, 1))
            alike[fate.environment, fate.contents, copies] += 1
            elements = fate.contents.elements
            for end in (0, 1):
                accepted[fate.environment][end] += elements * (least, most)[end]
                counted[fate.environment][end] += elements * copies[end]
        cells, events = defaultdict(lambda: [0, 0]), defaultdict(lambda: [[0, 0, 0], [0, 0, 0]])
        for (environment, contents, copies), payloads in alike.items():
            for *place, count in contents.evaluations:
                cell = cells[environment, *place]
                for end in (0, 1):
                    cell[end] += count * copies[end] * payloads
            for key, numbers in contents.events:
                ends = events[environment, key]
                for place, number in enumerate(numbers):
                    # A sum below 0 is at its least when all of it is there.
                    both = sorted(number * copies[end] * payloads for end in (0, 1))
                    for end in (0, 1):
                        ends[end][place] += both[end]
        return cells, events, accepted, counted


# --- comparison -----------------------------------------------------------------------------------------------------


def differences(ledger, log):
    """Everything that is not what it may be: what, least, most, counted."""
    for payload, fate in ledger.payloads.items():
        least, most = (min(number, 1) * fate.contents.elements for number in fate.arrived())
        found = log.elements.get(payload, 0)
        if found not in (least, most) or log.environments.get(payload, fate.environment) != fate.environment:
            yield f"elements of payload {payload} of {fate.environment}", least, most, found
    for payload, found in log.elements.items():
        if payload not in ledger.payloads:
            yield f"elements of payload {payload}, which nobody sent", 0, 0, found
    cells, events, accepted, counted = ledger.ranges()
    found = log.cells
    for cell in sorted(cells.keys() | found.keys(), key=str):
        least, most = cells.get(cell, (0, 0))
        if not least <= found.get(cell, 0) <= most:
            environment, flag, variation, version, minute_ms = cell
            what = f"evaluations in {environment} of flag {flag}, variation {variation}, version {version}"
            yield f"{what}, minute {minute_ms}", least, most, found.get(cell, 0)
    for event in sorted(events.keys() | log.events.keys()):
        ends = events.get(event, ([0, 0, 0], [0, 0, 0]))
        for place, name in enumerate(("count", "values", "sum of the values, in millionths")):
            number = log.events[event][place] if event in log.events else 0
            if not ends[0][place] <= number <= ends[1][place]:
                yield f"{name} of event {event[1]} in {event[0]}", ends[0][place], ends[1][place], number
    for environment in sorted(accepted.keys() | log.accepted.keys()):
        for name, (least, most), number in (
            ("accepted", accepted[environment], log.accepted[environment]),
            ("counted", counted[environment], log.counted[environment]),
            ("late", (0, 0), log.late[environment]),
            ("rejected", (0, 0), log.refused[environment]),
        ):
            if not least <= number <= most:
                yield f"{name} elements of {environment}", least, most, number


def main():
    parser = argparse.ArgumentParser(description="The ledger of a load against a dump of the log.")
    parser.add_argument("ledger", help="what was sent, as `loadtest` wrote it")
    parser.add_argument("dump", help="what the log holds, as `dump` wrote it; from a log that took this load alone")
    parser.add_argument("--without", metavar="PROJECT/ENVIRONMENT", action="append", default=[],
                        help="an environment that the ledger is not of; may be repeated")
    arguments = parser.parse_args()
    try:
        ledger, log = Ledger(arguments.ledger), Log(arguments.dump, set(arguments.without))
        found = list(differences(ledger, log))
    except (Unreadable, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    fates = [fate.arrived() for fate in ledger.payloads.values()]
    acknowledged = sum(least > 0 for least, _ in fates)
    unknown = sum(least == 0 < most for least, most in fates)
    print(f"ledger: {len(fates)} payloads, {acknowledged} acknowledged, {unknown} unknown")
    print(f"log: {log.records} records, {log.duplicates} of them copies; {len(log.elements)} payloads")
    print(f"counted: {sum(log.cells.values())} evaluations, {sum(log.counted.values())} elements")
    for what, least, most, number in found[:SHOWN_MAX]:
        print(f"difference: {what}: at least {least}, at most {most}, found {number}")
    print("holds" if not found else f"DOES NOT HOLD: {len(found)} numbers are not what they may be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
