// Which rows of a very tall list are on the screen.

/** Browsers clip elements taller than this; Firefox is the strictest. */
export const HEIGHT_MAX = 12_000_000;

export interface RowWindow {
  first: number;
  last: number;
  /** Where the first row is drawn, in pixels from the top of the scrolled element. */
  top: number;
}

export function totalHeight(rows: number, rowHeight: number): number {
  return Math.min(rows * rowHeight, HEIGHT_MAX);
}

/**
 * The rows in view. When the list is taller than a browser can draw, the scroll position is stretched over all rows:
 * the top shows the first row exactly and the bottom the last.
 */
export function rowWindow(rows: number, rowHeight: number, scrollTop: number, viewHeight: number, spare = 6): RowWindow {
  if (rows === 0) return { first: 0, last: -1, top: 0 };
  const real = rows * rowHeight;
  const total = totalHeight(rows, rowHeight);
  const travel = Math.max(1, total - viewHeight);
  const at = real > total ? (Math.min(scrollTop, travel) / travel) * (real - viewHeight) : scrollTop;
  const first = Math.max(0, Math.floor(at / rowHeight) - spare);
  const last = Math.min(rows - 1, Math.ceil((at + viewHeight) / rowHeight) + spare);
  return { first, last, top: scrollTop - (at - first * rowHeight) };
}

/** The scroll position that brings a row into view, or `null` when it is there already. */
export function scrollToRow(row: number, rows: number, rowHeight: number, scrollTop: number, viewHeight: number): number | null {
  const real = rows * rowHeight;
  const total = totalHeight(rows, rowHeight);
  const travel = Math.max(1, total - viewHeight);
  const stretched = real > total;
  const at = stretched ? (Math.min(scrollTop, travel) / travel) * (real - viewHeight) : scrollTop;
  let want = at;
  if (row * rowHeight < at) want = row * rowHeight;
  else if ((row + 1) * rowHeight > at + viewHeight) want = (row + 1) * rowHeight - viewHeight;
  if (want === at) return null;
  return stretched ? (want / Math.max(1, real - viewHeight)) * travel : want;
}
