"""Many writers at once, counted: for the test, and for the benchmark."""

import dataclasses
import threading
import time

import polder

WRITERS = 16


@dataclasses.dataclass
class Run:
    """What came of a run of writers."""

    acknowledged: list
    """Rows that each writer inserted, by writer."""
    refused: list
    """Statements that each writer saw refused as a conflict."""
    failures: list
    seconds: float

    @property
    def total(self) -> int:
        return sum(self.acknowledged)


def tables(client: polder.Client, count: int, label: str) -> list:
    names = [f"written_{label}_{number}" for number in range(count)]
    for name in names:
        client.sql(f"CREATE TABLE {name} (writer bigint, n bigint, word text)")
    return names


def write(server, names: list, seconds: float) -> Run:
    """Sixteen writers insert single rows, one after the other, each into the next table in turn."""
    clients = [server.client() for _ in range(WRITERS)]
    run = Run([0] * WRITERS, [0] * WRITERS, [], 0.0)
    barrier, end = threading.Barrier(WRITERS + 1), [0.0]

    def work(number: int) -> None:
        barrier.wait()
        try:
            n = 0
            while time.monotonic() < end[0]:
                name = names[(number + n) % len(names)]
                try:
                    clients[number].run(f"INSERT INTO {name} VALUES ({number}, {n}, 'a small row')")
                    run.acknowledged[number] += 1
                except polder.Failed as error:
                    if error.code != "40001":
                        raise
                    run.refused[number] += 1
                n += 1
        except Exception as error:
            run.failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    end[0] = started + seconds
    barrier.wait()
    for thread in threads:
        thread.join()
    run.seconds = time.monotonic() - started
    return run


def counted(client: polder.Client, names: list) -> dict:
    """writer → (rows, distinct numbers) over all tables."""
    union = " UNION ALL ".join(f"SELECT writer, n FROM {name}" for name in names)
    rows = client.sql(f"SELECT writer, count(*) AS rows, count(DISTINCT n) AS kinds FROM ({union}) AS u GROUP BY writer")
    return {row["writer"]: (row["rows"], row["kinds"]) for row in rows}
