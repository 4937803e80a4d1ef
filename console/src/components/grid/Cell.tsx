import { linesOf } from '../../lib/cell';
import { count } from '../../lib/format';
import classes from './Grid.module.css';

interface Props {
  index: number;
  column: number;
  text: string | null;
  kind: string;
  selected: boolean;
  active: boolean;
  onSelect: (extend: boolean) => void;
  onOpen: () => void;
}

const TEXT_SHOWN_MAX = 400;

/** A cell shows its first line, and how many more there are. */
export function Cell({ index, column, text, kind, selected, active, onSelect, onOpen }: Props) {
  const lines = text === null ? 1 : linesOf(text);
  const shown = text === null ? 'null' : text === '' ? 'empty' : text.length > TEXT_SHOWN_MAX ? `${text.slice(0, TEXT_SHOWN_MAX)}…` : text;
  return (
    <div
      role="gridcell"
      id={`cell-${index}-${column}`}
      aria-colindex={column + 2}
      aria-selected={selected}
      data-active={active || undefined}
      data-quiet={text === null || text === '' || undefined}
      data-kind={kind}
      data-lines={lines > 1 || undefined}
      className={classes.cell}
      title={shown.length > 24 ? shown : undefined}
      onMouseDown={(event) => {
        if (event.button !== 0) return;
        event.preventDefault();
        onSelect(event.shiftKey);
      }}
      onMouseEnter={(event) => {
        if (event.buttons === 1) onSelect(true);
      }}
      onDoubleClick={onOpen}
    >
      {lines > 1 ? <span className={classes.first}>{shown.replace(/^\s*\n/, '').split('\n', 1)[0]}</span> : shown}
      {lines > 1 && (
        // With the keys, Enter opens the cell.
        <button type="button" tabIndex={-1} className={classes.more} onClick={onOpen}>
          +{count(lines - 1)} {lines === 2 ? 'line' : 'lines'}
        </button>
      )}
    </div>
  );
}
