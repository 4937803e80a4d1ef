"""What concurrent transactions did and saw, and a checker that says whether that is snapshot isolation.

A history is a list of transactions. Each knows the version that it read (BEGIN answers with it) and the version that it
made (COMMIT does), so the checker need not search for an order: it replays the commits one by one and compares. What the
server says of itself is not simply believed: versions must be unique, a transaction must read all that was acknowledged
before it began, and what it read must be exactly the rows of its version and its own changes.
"""

import dataclasses
import typing

COMMITTED, ROLLED_BACK, REFUSED = "committed", "rolled back", "refused"

# A table's rows: key → value.
Rows = dict
State = dict


@dataclasses.dataclass
class Insert:
    table: str
    rows: Rows


@dataclasses.dataclass
class Update:
    """Sets `value` on all rows whose key leaves `remainder` when divided by `divisor`. `count`: rows that it said it changed."""

    table: str
    divisor: int
    remainder: int
    value: int
    count: int


@dataclasses.dataclass
class Delete:
    """As an update; a divisor of 1 empties the table."""

    table: str
    divisor: int
    remainder: int
    count: int


@dataclasses.dataclass
class Read:
    """All rows of some tables, in one statement."""

    seen: dict
    """table → list of (key, value), as they came"""


@dataclasses.dataclass
class Savepoint:
    pass


@dataclasses.dataclass
class RollbackToSavepoint:
    pass


Event = typing.Union[Insert, Update, Delete, Read, Savepoint, RollbackToSavepoint]


@dataclasses.dataclass
class Transaction:
    name: str
    events: list = dataclasses.field(default_factory=list)
    start: int = -1
    """The version that it read."""
    end: int | None = None
    """The version that it made; None if it made none."""
    outcome: str = ROLLED_BACK
    begun_at: float = 0.0
    """When BEGIN was sent."""
    acknowledged_at: float | None = None
    """When the answer to COMMIT had come."""


class Violation(AssertionError):
    """A history that snapshot isolation does not allow."""


class View:
    """A transaction's own state: the version that it read, and its own changes."""

    def __init__(self, state: State):
        self.tables = {table: dict(rows) for table, rows in state.items()}
        # Keys of rows that it changed or deleted, of those that it did not insert itself; and keys that it inserted.
        self.changed = set()
        self.inserted = set()
        self.point = None

    def save(self):
        self.point = ({table: dict(rows) for table, rows in self.tables.items()}, set(self.changed), set(self.inserted))

    def go_back(self):
        tables, changed, inserted = self.point
        self.tables = {table: dict(rows) for table, rows in tables.items()}
        self.changed, self.inserted = set(changed), set(inserted)

    def keys(self, event) -> list:
        return [key for key in self.tables[event.table] if key % event.divisor == event.remainder]

    def apply(self, event: Event, name: str) -> None:
        match event:
            case Insert(table, rows):
                twice = rows.keys() & self.tables[table].keys()
                if twice:
                    raise Violation(f"{name}: {table} has {sorted(twice)} already: the test's keys must be unique")
                self.tables[table].update(rows)
                self.inserted |= {(table, key) for key in rows}
            case Update(table, _, _, value, count):
                keys = self.keys(event)
                self.expect(len(keys), count, event, name)
                self.tables[table].update(dict.fromkeys(keys, value))
                self.touch(table, keys)
            case Delete(table, _, _, count):
                keys = self.keys(event)
                self.expect(len(keys), count, event, name)
                for key in keys:
                    del self.tables[table][key]
                self.touch(table, keys)
            case Savepoint():
                self.save()
            case RollbackToSavepoint():
                self.go_back()
            case Read(seen):
                for table, rows in seen.items():
                    compare(rows, self.tables[table], f"{name} read {table}")

    def touch(self, table: str, keys: list) -> None:
        self.changed |= {(table, key) for key in keys} - self.inserted

    @staticmethod
    def expect(should: int, did: int, event: Event, name: str) -> None:
        if should != did:
            raise Violation(f"{name}: {event} changed {did} rows, its snapshot has {should} such")


def compare(found: list, expected: Rows, what: str) -> None:
    """`found` as pairs, in any order, against the rows that must be there."""
    as_found = sorted(found)
    if len({key for key, _ in as_found}) != len(as_found):
        twice = sorted({key for key, _ in as_found if [k for k, _ in as_found].count(key) > 1})
        raise Violation(f"{what}: rows are there twice: {twice[:10]}")
    if as_found == sorted(expected.items()):
        return
    found_rows = dict(as_found)
    missing = sorted(expected.keys() - found_rows.keys())[:10]
    surplus = sorted(found_rows.keys() - expected.keys())[:10]
    other = sorted((key, found_rows[key], expected[key]) for key in found_rows.keys() & expected.keys()
                   if found_rows[key] != expected[key])[:10]
    raise Violation(f"{what}: missing {missing}, surplus {surplus}, (key, found, expected) {other}")


def writes(transaction: Transaction) -> list:
    return [event for event in transaction.events if isinstance(event, Insert | Update | Delete)]


def check(start: State, base: int, history: list, final: dict) -> None:
    """Raises `Violation` unless the history is one of snapshot isolation.

    `start`: the rows at version `base`. `final`: the rows at the end, table → list of (key, value).
    """
    committed = sorted((one for one in history if one.outcome == COMMITTED and one.end is not None), key=lambda one: one.end)
    check_versions(base, history, committed)
    views = replay(start, base, history, committed)
    check_first_committer_wins(committed, views)
    check_refusals(history, committed)
    state = {table: dict(rows) for table, rows in start.items()}
    for one in committed:
        advance(state, views[one.name])
    for table, rows in final.items():
        compare(rows, state[table], f"at the end, {table}")


def check_versions(base: int, history: list, committed: list) -> None:
    if len({one.end for one in committed}) != len(committed):
        raise Violation("two transactions made the same version")
    for one in history:
        if one.start < base:
            raise Violation(f"{one.name} reads version {one.start}, older than the first, {base}")
        if one.end is not None and one.end <= one.start:
            raise Violation(f"{one.name} made version {one.end}, not newer than {one.start} that it read")
        for other in committed:
            if other.acknowledged_at is not None and other.acknowledged_at < one.begun_at and other.end > one.start:
                raise Violation(f"{one.name} reads version {one.start}, though {other.end} was acknowledged before it began")


def replay(start: State, base: int, history: list, committed: list) -> dict:
    """Runs each transaction on the version that it read, and compares what it saw. Views by name."""
    if len({one.name for one in history}) != len(history):
        raise ValueError("transactions need names of their own")
    views = {}
    state, version = {table: dict(rows) for table, rows in start.items()}, base
    waiting = list(committed)
    # In the order of what they read: all that committed before has then been replayed, as it began even earlier.
    for one in sorted(history, key=lambda one: one.start):
        while waiting and waiting[0].end <= one.start:
            done = waiting.pop(0)
            advance(state, views[done.name])
            version = done.end
        view = View(state)
        for event in one.events:
            view.apply(event, f"{one.name} on version {version}")
        views[one.name] = view
    return views


def advance(state: State, view: View) -> None:
    """Puts a transaction's changes, row by row, onto the state; what others committed meanwhile stays."""
    for table, key in view.changed | view.inserted:
        if key in view.tables[table]:
            state[table][key] = view.tables[table][key]
        else:
            state[table].pop(key, None)


def check_first_committer_wins(committed: list, views: dict) -> None:
    for later in committed:
        for earlier in committed:
            if later.start < earlier.end < later.end:
                both = views[later.name].changed & views[earlier.name].changed
                if both:
                    raise Violation(f"{earlier.name} and {later.name} both changed {sorted(both)[:5]} and both committed")


def check_refusals(history: list, committed: list) -> None:
    """A conflict needs somebody to conflict with: who changed rows of a table that the refused one changed rows of."""
    for one in history:
        if one.outcome != REFUSED:
            continue
        ours = {event.table for event in writes(one) if not isinstance(event, Insert)}
        others = [other for other in committed if other.end > one.start]
        theirs = {event.table for other in others for event in writes(other)}
        if not ours & theirs:
            raise Violation(f"{one.name} was refused, though nobody else changed any of {sorted(ours)}")
