import type { ResultSet } from '../../lib/result';

export const WIDTH_MIN = 64;
export const WIDTH_MAX = 900;
const WIDTH_FIRST_MAX = 320;
const CHAR = 7.85;
const ROWS_LOOKED_AT = 60;

/** Widths that fit the header and rows looked at here and there, the first and the last among them. */
export function firstWidths(result: ResultSet): number[] {
  const rows = Math.min(result.rows, ROWS_LOOKED_AT);
  const step = rows > 1 ? (result.rows - 1) / (rows - 1) : 0;
  return result.columns.map((column, index) => {
    let longest = Math.max(column.name.length + 1, column.type.length);
    for (let place = 0; place < rows; place += 1) longest = Math.max(longest, result.text(Math.round(place * step), index)?.length ?? 4);
    return Math.round(Math.max(WIDTH_MIN, Math.min(WIDTH_FIRST_MAX, longest * CHAR + 26)));
  });
}

export interface ColumnWindow {
  shown: number[];
  /** Width of the columns left of the first one shown. */
  before: number;
}

/** The columns in view, with one to spare on each side. */
export function columnWindow(widths: number[], left: number, width: number): ColumnWindow {
  const shown: number[] = [];
  let before = 0;
  let at = 0;
  widths.forEach((size, column) => {
    if (at + size >= left - 200 && at <= left + width + 200) shown.push(column);
    else if (shown.length === 0) before += size;
    at += size;
  });
  return { shown, before };
}
