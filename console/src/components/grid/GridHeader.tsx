import type { ResultSet } from '../../lib/result';
import { count } from '../../lib/format';
import { SORT_ROWS_MAX } from '../../lib/result';
import { quoteName } from '../../lib/sql';
import { toast } from '../Toasts';
import { IconArrowDown, IconArrowUp } from '../icons';
import type { ColumnWindow } from './columns';
import { WIDTH_MAX, WIDTH_MIN } from './columns';
import classes from './Grid.module.css';

export interface SortState {
  column: number;
  descending: boolean;
}

interface Props {
  result: ResultSet;
  widths: number[];
  numberWidth: number;
  totalWidth: number;
  columns: ColumnWindow;
  sort: SortState | null;
  sortable: boolean;
  onSort: (sort: SortState | null) => void;
  onResize: (column: number, width: number) => void;
}

/** Names and types; click to sort, drag the edge to resize. */
export function GridHeader({ result, widths, numberWidth, totalWidth, columns, sort, sortable, onSort, onResize }: Props) {
  const next = (column: number): SortState | null => {
    if (sort?.column !== column) return { column, descending: false };
    return sort.descending ? null : { column, descending: true };
  };
  return (
    <div role="rowgroup" className={classes.head} style={{ width: totalWidth }}>
      <div role="row" aria-rowindex={1} className={classes.headRow} style={{ gridTemplateColumns: `${numberWidth}px ${columns.before}px ${columns.shown.map((column) => `${widths[column]}px`).join(' ')}` }}>
        <div role="columnheader" className={classes.corner}>
          <span className="hidden-visually">Row</span>
        </div>
        <div role="presentation" />
        {columns.shown.map((column) => {
          const field = result.columns[column];
          if (!field) return null;
          const sorted = sort?.column === column ? sort : null;
          return (
            <div key={column} role="columnheader" aria-colindex={column + 2} aria-sort={sorted ? (sorted.descending ? 'descending' : 'ascending') : 'none'} className={classes.column} data-kind={field.kind}>
              <button
                type="button"
                onClick={() => (sortable ? onSort(next(column)) : toast(`More than ${count(SORT_ROWS_MAX)} rows are sorted by the server: add ORDER BY ${quoteName(field.name)}`))}
                onKeyDown={(event) => {
                  const move = event.altKey ? { ArrowLeft: -16, ArrowRight: 16 }[event.key] : undefined;
                  if (move === undefined) return;
                  event.preventDefault();
                  onResize(column, clampWidth((widths[column] ?? WIDTH_MIN) + move));
                }}
                title={sortable ? `${field.name}, ${field.type}` : `${field.name}, ${field.type}. More than ${count(SORT_ROWS_MAX)} rows: sort with ORDER BY`}
              >
                <span className={classes.name}>
                  <span className="ellipsis">{field.name}</span>
                  {sorted && (sorted.descending ? <IconArrowDown size={13} /> : <IconArrowUp size={13} />)}
                </span>
                <span className={classes.type}>{field.type}</span>
              </button>
              <Edge name={field.name} width={widths[column] ?? WIDTH_MIN} onResize={(width) => onResize(column, width)} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

const clampWidth = (width: number): number => Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, width));

function Edge({ name, width, onResize }: { name: string; width: number; onResize: (width: number) => void }) {
  const set = (value: number): void => onResize(clampWidth(value));
  const onPointerDown = (event: React.PointerEvent<HTMLDivElement>): void => {
    event.preventDefault();
    const element = event.currentTarget;
    const start = event.clientX;
    element.setPointerCapture(event.pointerId);
    element.onpointermove = (move) => set(width + move.clientX - start);
    element.onpointerup = () => {
      element.onpointermove = null;
      element.onpointerup = null;
    };
  };
  return (
    <div
      role="separator"
      aria-orientation="vertical"
      aria-label={`Width of ${name}`}
      aria-valuenow={width}
      aria-valuemin={WIDTH_MIN}
      aria-valuemax={WIDTH_MAX}
      tabIndex={-1}
      className={classes.edge}
      onPointerDown={onPointerDown}
    />
  );
}
