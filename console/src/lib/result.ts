import type { DataType, RecordBatch, Schema, Vector } from 'apache-arrow';

import { type CellKind, cellNumber, cellText, kindOf, typeName } from './cell';

export interface ResultColumn {
  name: string;
  type: string;
  kind: CellKind;
}

/** Rows of a sort are held in memory twice; more than this is the server's work. */
export const SORT_ROWS_MAX = 100_000;

/**
 * The answer to a statement: Arrow batches as they came, never turned into one object per row.
 * Grows while the answer streams in; `version` says that it has.
 */
export class ResultSet {
  readonly columns: ResultColumn[];
  private readonly batches: RecordBatch[] = [];
  private readonly starts: number[] = [];
  rows = 0;
  version = 0;

  constructor(schema: Schema) {
    this.columns = schema.fields.map((field) => ({
      name: field.name,
      type: typeName(field.type as DataType),
      kind: kindOf(field.type as DataType),
    }));
  }

  push(batch: RecordBatch): void {
    if (batch.numRows === 0) return;
    this.starts.push(this.rows);
    this.batches.push(batch);
    this.rows += batch.numRows;
    this.version += 1;
  }

  text(row: number, column: number): string | null {
    const found = this.find(row, column);
    return found ? cellText(found[0], found[1]) : null;
  }

  number(row: number, column: number): number | null {
    const found = this.find(row, column);
    return found ? cellNumber(found[0], found[1]) : null;
  }

  /** All values of a column as numbers, up to `limit` rows. */
  numbers(column: number, limit = this.rows): (number | null)[] {
    return this.collect(column, limit, cellNumber);
  }

  texts(column: number, limit = this.rows): (string | null)[] {
    return this.collect(column, limit, cellText);
  }

  /** The order of rows by one column, missing values last. */
  order(column: number, descending: boolean): Uint32Array {
    const order = Uint32Array.from({ length: this.rows }, (_, row) => row);
    const sign = descending ? -1 : 1;
    const kind = this.columns[column]?.kind;
    const numeric = kind === 'number' || kind === 'time' || kind === 'boolean';
    const keys: (number | string | null)[] = numeric ? this.numbers(column) : this.texts(column);
    return order.sort((left, right) => {
      const a = keys[left] ?? null;
      const b = keys[right] ?? null;
      if (a === b) return left - right;
      if (a === null) return 1;
      if (b === null) return -1;
      return (a < b ? -1 : a > b ? 1 : left - right) * sign;
    });
  }

  private collect<T>(column: number, limit: number, read: (vector: Vector, index: number) => T): T[] {
    const values: T[] = [];
    for (const batch of this.batches) {
      const vector = batch.getChildAt(column);
      if (!vector) break;
      const end = Math.min(batch.numRows, limit - values.length);
      for (let index = 0; index < end; index += 1) values.push(read(vector, index));
      if (values.length >= limit) break;
    }
    return values;
  }

  private find(row: number, column: number): [Vector, number] | null {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] ?? 0) <= row) low = middle;
      else high = middle - 1;
    }
    const vector = this.batches[low]?.getChildAt(column);
    return vector && row < this.rows ? [vector, row - (this.starts[low] ?? 0)] : null;
  }
}

function quoteCsv(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The result as CSV in pieces, so that a large one is never one string. Missing is empty; an empty text is `""`. */
export function csvParts(result: ResultSet): string[] {
  const parts: string[] = [result.columns.map((column) => quoteCsv(column.name)).join(',') + '\r\n'];
  let lines: string[] = [];
  for (let row = 0; row < result.rows; row += 1) {
    const cells = result.columns.map((_, column) => {
      const text = result.text(row, column);
      return text === null ? '' : text === '' ? '""' : quoteCsv(text);
    });
    lines.push(cells.join(','));
    if (lines.length === 5000) {
      parts.push(lines.join('\r\n') + '\r\n');
      lines = [];
    }
  }
  if (lines.length > 0) parts.push(lines.join('\r\n') + '\r\n');
  return parts;
}
