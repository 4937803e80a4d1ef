"""Files of any size are loaded with less than 1 GiB of memory, in each format whose files have no bound."""

import bz2
import contextlib
import gzip
import io
import json
import os
import pathlib
import zipfile

import cramjam
import fastavro
import pyarrow
import pyarrow.parquet
import pytest

# `POLDER_LOAD_MIB=1536` for the long run: each file, unpacked, has so many. 64 are kept in memory.
FILE_BYTES = int(os.environ.get("POLDER_LOAD_MIB", "128")) << 20
MEMORY_BYTES_MAX = 1 << 30
LOAD_SECONDS = 1_200

# A file is the same part again and again, made once: packed too, since packed streams may follow each other.
PART_ROWS = 2_000
ROWS = [(n, n * 0.37, f"some words in column {n * 7919 % 10**9}", f"2024-0{n % 9 + 1}-1{n % 9}") for n in range(PART_ROWS)]
PACK = {"gz": lambda content: gzip.compress(content, 1), "zst": lambda content: bytes(cramjam.zstd.compress(content, 1)), "bz2": bz2.compress}

# Parts of a Parquet file's row group: half a million rows, as its writers make them by default, or all of them.
GROUP_PARTS = 250


def lines(text) -> str:
    return "".join(f"{text(*row)}\n" for row in ROWS)


def document(n, x, w, d) -> str:
    return json.dumps({"id": n, "words": w, "day": d, "more": {"share": x, "list": [n, 1]}})


def common(n, x, w, d) -> str:
    return f'10.0.{n % 7}.{n % 251} - - [1{n % 9}/May/2026:10:05:{n % 60:02} +0000] "GET /{w.replace(" ", "/")}?share={x} HTTP/1.1" {200 + n % 5} {n * 31}'


def combined(*row) -> str:
    return f'{common(*row)} "https://example.com/from/{row[0]}" "Mozilla/5.0 (X11; Linux x86_64) of {row[2]}"'


def text_of(kind: str) -> tuple:
    """The beginning, the part, what stands between parts, and the end of a file of text."""
    comma = ("id,share,words,day\n", lines("{},{},{},{}".format), "", "")
    return {
        "csv": lambda: comma,
        "tsv": lambda: ("id\tshare\twords\tday\n", lines("{}\t{}\t{}\t{}".format), "", ""),
        # Each row is there twice, and once with a field that no column is for.
        "rejects": lambda: (comma[0], comma[1] + lines("{},{},{},{},more".format), "", ""),
        "txt": lambda: ("", lines(lambda n, x, w, d: f"{n:>9}  {x:>24}  {w.replace(' ', '_'):<44} {d}"), "", ""),
        "ndjson": lambda: ("", lines(document), "", ""),
        "json": lambda: ("[", ",".join(document(*row) for row in ROWS), ",", "]"),
        "common": lambda: ("", lines(common), "", ""),
        "combined": lambda: ("", lines(combined), "", ""),
    }[kind]()


def write_text(path: pathlib.Path, kind: str, encoding: str = "utf-8", mark: str = "") -> int:
    """Gives the number of parts. By the ending it is packed, as a stream for each part, or as one in a zip."""
    head, part, between, end = (text.encode(encoding) for text in text_of(kind))
    head = mark.encode(encoding) + head
    parts = FILE_BYTES // len(part) + 1
    pack = PACK.get(path.suffix[1:], bytes)
    first, later, last = pack(head + part), pack(between + part), pack(end) if end else b""
    with contextlib.ExitStack() as stack:
        if path.suffix == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1))
            file = stack.enter_context(archive.open(path.stem, "w", force_zip64=True))
        else:
            file = stack.enter_context(path.open("wb"))
        file.write(first)
        for _ in range(parts - 1):
            file.write(later)
        file.write(last)
    return parts


def write_parquet(path: pathlib.Path, group_parts: int | None = GROUP_PARTS) -> int:
    """Neither packed nor with dictionaries, so that the file is as large as what is in it."""
    table = pyarrow.table(dict(zip(("id", "share", "words", "day"), map(list, zip(*ROWS)))))
    parts = FILE_BYTES // table.nbytes + 1
    group_parts = group_parts or parts
    parts += -parts % group_parts
    # Of the same memory again and again.
    group = pyarrow.concat_tables([table] * group_parts)
    with pyarrow.parquet.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
        for _ in range(parts // group_parts):
            writer.write_table(group, row_group_size=group.num_rows)
    return parts


def write_avro(path: pathlib.Path) -> int:
    """Blocks follow the head, each with the head's mark at its end."""
    fields = [("id", "long"), ("share", "double"), ("words", "string"), ("day", "string")]
    schema = {"type": "record", "name": "row", "fields": [{"name": name, "type": kind} for name, kind in fields]}
    made = [io.BytesIO(), io.BytesIO()]
    mark = bytes(range(16))
    for file, rows in zip(made, ([], ROWS)):
        fastavro.writer(file, schema, [dict(zip(("id", "share", "words", "day"), row)) for row in rows], sync_marker=mark)
    head, part = made[0].getvalue(), made[1].getvalue().removeprefix(made[0].getvalue())
    parts = FILE_BYTES // len(part) + 1
    with path.open("wb") as file:
        file.write(head)
        for _ in range(parts):
            file.write(part)
    return parts


FILES = {
    "big.csv": lambda path: write_text(path, "csv"),
    "big.tsv": lambda path: write_text(path, "tsv"),
    "utf_16.csv": lambda path: write_text(path, "csv", "utf-16-le", "\ufeff"),
    "big.csv.gz": lambda path: write_text(path, "csv"),
    "big.csv.zst": lambda path: write_text(path, "csv"),
    "big.csv.bz2": lambda path: write_text(path, "csv"),
    "big.csv.zip": lambda path: write_text(path, "csv"),
    "rejects.csv": lambda path: write_text(path, "rejects"),
    "big.txt": lambda path: write_text(path, "txt"),
    "big.ndjson": lambda path: write_text(path, "ndjson"),
    "big.json": lambda path: write_text(path, "json"),
    "common.log": lambda path: write_text(path, "common"),
    "combined.log": lambda path: write_text(path, "combined"),
    "big.parquet": write_parquet,
    "one_group.parquet": lambda path: write_parquet(path, None),
    "big.avro": write_avro,
}


@pytest.mark.parametrize("name", FILES)
def test_memory_stays_bounded(fresh, tmp_path, name):
    path = tmp_path / name
    rows = FILES[name](path) * PART_ROWS
    size = path.stat().st_size
    server = fresh().start()
    report = server.load(path, "--into", "big", timeout=LOAD_SECONDS)
    path.unlink()
    table, = report["tables"]
    assert (table["rows_loaded"], table["rows_rejected"]) == (rows, rows if name == "rejects.csv" else 0), report
    peak = server.memory_bytes("VmHWM")
    print(f"{name}: {size >> 20} MiB ({FILE_BYTES >> 20} unpacked) loaded in {report['elapsed_ms']} ms, peak memory {peak >> 20} MiB")
    assert peak < MEMORY_BYTES_MAX
