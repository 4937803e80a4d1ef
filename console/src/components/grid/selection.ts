import type { ResultSet } from '../../lib/result';

/** A rectangle of cells, from where it was begun to where it is now. */
export interface Range {
  anchorRow: number;
  anchorColumn: number;
  row: number;
  column: number;
}

export function inRange(range: Range, row: number, column: number): boolean {
  return (
    row >= Math.min(range.anchorRow, range.row) &&
    row <= Math.max(range.anchorRow, range.row) &&
    column >= Math.min(range.anchorColumn, range.column) &&
    column <= Math.max(range.anchorColumn, range.column)
  );
}

/** Where a key moves the selection, or `null` when the key is none of the grid's. */
export function moved(range: Range | null, key: string, extend: boolean, far: boolean, size: { rows: number; columns: number; page: number }): Range | null {
  const at = range ?? { anchorRow: 0, anchorColumn: 0, row: 0, column: -1 };
  let { row, column } = at;
  if (key === 'ArrowDown') row = far ? size.rows - 1 : row + 1;
  else if (key === 'ArrowUp') row = far ? 0 : row - 1;
  else if (key === 'ArrowRight') column = far ? size.columns - 1 : column + 1;
  else if (key === 'ArrowLeft') column = far ? 0 : column - 1;
  else if (key === 'PageDown') row += size.page;
  else if (key === 'PageUp') row -= size.page;
  else if (key === 'Home') {
    column = 0;
    if (far) row = 0;
  } else if (key === 'End') {
    column = size.columns - 1;
    if (far) row = size.rows - 1;
  } else return null;
  if (!range) [row, column] = [0, 0];
  row = Math.max(0, Math.min(size.rows - 1, row));
  column = Math.max(0, Math.min(size.columns - 1, column));
  return extend ? { ...at, row, column } : { anchorRow: row, anchorColumn: column, row, column };
}

const clean = (text: string): string => (/[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** The selected cells as a spreadsheet pastes them; whole rows come with their names. */
export function rangeText(result: ResultSet, range: Range, rowAt: (index: number) => number): string {
  const [top, bottom] = [Math.min(range.anchorRow, range.row), Math.max(range.anchorRow, range.row)];
  const [left, right] = [Math.min(range.anchorColumn, range.column), Math.max(range.anchorColumn, range.column)];
  if (top === bottom && left === right) return result.text(rowAt(top), left) ?? '';
  const lines: string[] = [];
  const columns = result.columns.slice(left, right + 1);
  if (left === 0 && right === result.columns.length - 1) lines.push(columns.map((column) => clean(column.name)).join('\t'));
  for (let index = top; index <= bottom; index += 1) lines.push(columns.map((_, offset) => clean(result.text(rowAt(index), left + offset) ?? '')).join('\t'));
  return lines.join('\n');
}
