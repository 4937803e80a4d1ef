import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';

import { linesOf } from '../../lib/cell';
import { copyText } from '../../lib/clipboard';
import { count } from '../../lib/format';
import { type ResultSet, SORT_ROWS_MAX } from '../../lib/result';
import { rowWindow, scrollToRow, totalHeight } from '../../lib/window';
import { DetailPanel, WholeText, WithDetail } from '../DetailPanel';
import { Cell } from './Cell';
import { GridHeader, type SortState } from './GridHeader';
import { columnWindow, firstWidths } from './columns';
import { inRange, moved, type Range, rangeText } from './selection';
import classes from './Grid.module.css';

const ROW_HEIGHT = 28;
const HEAD_HEIGHT = 44;
/** More cells than this are not put on the clipboard at once. */
const COPY_CELLS_MAX = 500_000;

interface Props {
  result: ResultSet;
  /** Changes while the answer streams in. */
  version: number;
  label: string;
}

/** A result as a grid: draws only the cells in view, straight from the Arrow batches. */
export function Grid({ result, version, label }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, left: 0, height: 400, width: 800 });
  const [widths, setWidths] = useState<number[]>(() => firstWidths(result));
  const [sort, setSort] = useState<SortState | null>(null);
  const [range, setRange] = useState<Range | null>(null);
  const [said, setSaid] = useState('');
  /** The cell with the focus is shown whole. */
  const [whole, setWhole] = useState(false);
  const touched = useRef(false);

  // The widths follow what has come so far, and only grow, until the person sets one.
  useEffect(() => {
    if (touched.current || result.rows === 0) return;
    setWidths((before) => firstWidths(result).map((width, column) => Math.max(width, before[column] ?? 0)));
  }, [result, version]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const read = (): void => setView({ top: element.scrollTop, left: element.scrollLeft, height: element.clientHeight - HEAD_HEIGHT, width: element.clientWidth });
    read();
    const observer = new ResizeObserver(read);
    observer.observe(element);
    element.addEventListener('scroll', read, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', read);
    };
  }, []);

  const sortable = result.rows <= SORT_ROWS_MAX;
  const order = useMemo(() => (sort && sortable ? result.order(sort.column, sort.descending) : null), [result, version, sort, sortable]);
  const rowAt = (index: number): number => order?.[index] ?? index;

  const numberWidth = Math.max(44, String(result.rows).length * 8 + 24);
  const columns = columnWindow(widths, view.left, view.width - numberWidth);
  const rows = rowWindow(result.rows, ROW_HEIGHT, view.top, view.height);
  const totalWidth = numberWidth + widths.reduce((sum, width) => sum + width, 0);

  const select = (next: Range): void => {
    setRange(next);
    const element = scroller.current;
    if (!element) return;
    const top = scrollToRow(next.row, result.rows, ROW_HEIGHT, element.scrollTop, view.height);
    if (top !== null) element.scrollTop = top;
    const left = widths.slice(0, next.column).reduce((sum, width) => sum + width, 0);
    const right = left + (widths[next.column] ?? 0);
    if (left < element.scrollLeft) element.scrollLeft = left;
    else if (right > element.scrollLeft + view.width - numberWidth) element.scrollLeft = right - view.width + numberWidth;
  };

  const copy = async (): Promise<void> => {
    if (!range) return;
    const cells = (Math.abs(range.row - range.anchorRow) + 1) * (Math.abs(range.column - range.anchorColumn) + 1);
    if (cells > COPY_CELLS_MAX) {
      setSaid(`${count(cells)} cells are too many to copy; export the result instead`);
      return;
    }
    const done = await copyText(rangeText(result, range, rowAt));
    setSaid(done ? `Copied ${cells === 1 ? 'one cell' : `${count(cells)} cells`}` : 'The browser refused to copy');
  };

  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.target !== scroller.current || result.rows === 0 || result.columns.length === 0) return;
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key === 'c') {
      event.preventDefault();
      void copy();
      return;
    }
    if (control && event.key === 'a') {
      event.preventDefault();
      setRange({ anchorRow: 0, anchorColumn: 0, row: result.rows - 1, column: result.columns.length - 1 });
      return;
    }
    if (event.key === 'Enter' && range && !control) {
      event.preventDefault();
      setWhole(!whole);
      setSaid(whole ? '' : 'Shown whole after the grid');
      return;
    }
    if (event.key === 'Escape' && whole) {
      event.preventDefault();
      setWhole(false);
      return;
    }
    const page = Math.max(1, Math.floor(view.height / ROW_HEIGHT) - 1);
    const next = moved(range, event.key, event.shiftKey, control, { rows: result.rows, columns: result.columns.length, page });
    if (!next) return;
    event.preventDefault();
    select(next);
  };

  const visible: number[] = [];
  for (let index = rows.first; index <= rows.last; index += 1) visible.push(index);

  const opened = whole && range && range.row < result.rows ? range : null;
  const text = opened && result.text(rowAt(opened.row), opened.column);
  const close = (): void => {
    setWhole(false);
    scroller.current?.focus();
  };
  const detail = opened && (
    <DetailPanel title={result.columns[opened.column]?.name ?? ''} note={cellNote(opened.row, text)} text={text ?? ''} onClose={close}>
      {text ? <WholeText text={text} /> : <p className="quiet">{text === null ? 'null' : 'empty'}</p>}
    </DetailPanel>
  );

  return (
    <WithDetail detail={detail}>
      <div
        ref={scroller}
        className={classes.grid}
        role="grid"
        aria-label={label}
        aria-rowcount={result.rows + 1}
        aria-colcount={result.columns.length + 1}
        aria-multiselectable="true"
        aria-activedescendant={range && range.row >= rows.first && range.row <= rows.last ? `cell-${range.row}-${range.column}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        <GridHeader
          result={result}
          widths={widths}
          numberWidth={numberWidth}
          totalWidth={totalWidth}
          columns={columns}
          sort={sort}
          sortable={sortable}
          onSort={setSort}
          onResize={(column, width) => {
            touched.current = true;
            setWidths((before) => before.map((old, index) => (index === column ? width : old)));
          }}
        />
        <div role="rowgroup" className={classes.body} style={{ height: totalHeight(result.rows, ROW_HEIGHT), width: totalWidth }}>
          <div style={{ transform: `translateY(${rows.top}px)` }}>
            {visible.map((index) => (
              <div key={index} role="row" aria-rowindex={index + 2} className={classes.row} style={{ gridTemplateColumns: `${numberWidth}px ${columns.before}px ${columns.shown.map((column) => `${widths[column]}px`).join(' ')}` }}>
                <div
                  role="rowheader"
                  className={classes.number}
                  onMouseDown={(event) => {
                    event.preventDefault();
                    scroller.current?.focus();
                    setRange({ anchorRow: event.shiftKey && range ? range.anchorRow : index, anchorColumn: 0, row: index, column: result.columns.length - 1 });
                  }}
                >
                  {index + 1}
                </div>
                <div role="presentation" />
                {columns.shown.map((column) => (
                  <Cell
                    key={column}
                    index={index}
                    column={column}
                    text={result.text(rowAt(index), column)}
                    kind={result.columns[column]?.kind ?? 'text'}
                    selected={range !== null && inRange(range, index, column)}
                    active={range?.row === index && range.column === column}
                    onSelect={(extend) => {
                      scroller.current?.focus();
                      setRange(extend && range ? { ...range, row: index, column } : { anchorRow: index, anchorColumn: column, row: index, column });
                    }}
                    onOpen={() => setWhole(true)}
                  />
                ))}
              </div>
            ))}
          </div>
        </div>
      </div>
      <span className="hidden-visually" role="status">
        {said}
      </span>
    </WithDetail>
  );
}

function cellNote(row: number, text: string | null): string {
  const lines = text === null ? 1 : linesOf(text);
  return lines > 1 ? `row ${count(row + 1)}, ${count(lines)} lines` : `row ${count(row + 1)}`;
}
