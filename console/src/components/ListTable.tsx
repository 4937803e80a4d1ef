import { TextInput } from '@mantine/core';
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';

import { count, plural } from '../lib/format';
import { useParam } from '../lib/params';
import { rank } from '../lib/rank';
import { Empty } from './Empty';
import { IconArrowDown, IconArrowUp, IconSearch } from './icons';
import classes from './ListTable.module.css';

export interface ListColumn<T> {
  key: string;
  name: string;
  render: (row: T) => ReactNode;
  /** What sorting compares; a column without it cannot be sorted. */
  sort?: (row: T) => string | number | null;
  numeric?: boolean;
  width?: number | string;
  /** Left out on a narrow screen. */
  wideOnly?: boolean;
}

interface Props<T> {
  rows: T[];
  columns: ListColumn<T>[];
  rowKey: (row: T) => string;
  href: (row: T) => string;
  /** What typing in the filter looks at. */
  text: (row: T) => string;
  /** The noun in the header, in the plural: `tables`. */
  noun: string;
  label: string;
  extra?: ReactNode;
  defaultSort?: string;
}

const SHOWN_FIRST = 200;

/** A list of objects: filter by typing, sort by the header, move with the arrow keys, open with Enter. */
export function ListTable<T>({ rows, columns, rowKey, href, text, noun, label, extra, defaultSort = '' }: Props<T>) {
  const [filter, setFilter] = useParam('filter', '');
  const [sort, setSort] = useParam('sort', defaultSort);
  const [all, setAll] = useState(false);
  const [active, setActive] = useState(0);
  const body = useRef<HTMLTableSectionElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const found = useMemo(() => {
    const matching = filter ? rank(rows, filter, text) : rows;
    const column = columns.find((item) => item.key === sort.replace('-', ''));
    return column?.sort && !(filter && sort === defaultSort) ? sorted(matching, column.sort, sort.startsWith('-')) : matching;
  }, [rows, columns, filter, sort, text, defaultSort]);
  const shown = all ? found : found.slice(0, SHOWN_FIRST);
  const focusRow = (index: number): void => {
    if (index < 0) {
      input.current?.focus();
      return;
    }
    const at = Math.min(index, shown.length - 1);
    setActive(at);
    body.current?.querySelectorAll<HTMLAnchorElement>('a[data-row]')[at]?.focus();
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLElement && /^(input|textarea)$/i.test(event.target.tagName);
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  const onFilterKey = (event: React.KeyboardEvent): void => {
    if (event.key === 'ArrowDown') {
      event.preventDefault();
      focusRow(0);
    } else if (event.key === 'Enter') {
      body.current?.querySelector<HTMLAnchorElement>('a[data-row]')?.click();
    } else if (event.key === 'Escape') setFilter('');
  };
  const onRowKey = (event: React.KeyboardEvent, index: number): void => {
    const moves: Record<string, number> = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: shown.length - 1 };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    focusRow(next);
  };
  return (
    <div>
      <div className={classes.tools}>
        <TextInput
          ref={input}
          className={classes.filter}
          value={filter}
          onChange={(event) => {
            setFilter(event.currentTarget.value);
            setActive(0);
          }}
          onKeyDown={onFilterKey}
          placeholder={`Filter ${noun}`}
          aria-label={`Filter ${noun}`}
          leftSection={<IconSearch size={16} stroke={1.7} />}
          rightSection={filter ? null : <kbd className={classes.key}>/</kbd>}
        />
        {extra}
        <span className={`second num ${classes.count}`} role="status">
          {filter ? `${count(found.length)} of ${count(rows.length)} ${noun}` : plural(rows.length, noun.replace(/s$/, ''), noun)}
        </span>
      </div>
      {shown.length === 0 ? (
        <Empty text={`No ${noun} match “${filter}”.`} action={<button type="button" className={classes.clear} onClick={() => setFilter('')}>Clear the filter</button>} />
      ) : (
        <table className={classes.table} aria-label={label}>
          <thead>
            <tr>
              {columns.map((column) => (
                <Header key={column.key} column={column} sort={sort} onSort={setSort} />
              ))}
            </tr>
          </thead>
          <tbody ref={body}>
            {shown.map((row, index) => (
              <tr key={rowKey(row)}>
                {columns.map((column, place) => (
                  <td key={column.key} data-numeric={column.numeric || undefined} data-wide={column.wideOnly || undefined}>
                    {place === 0 ? (
                      <Link href={href(row)} data-row="" className={classes.link} tabIndex={index === Math.min(active, shown.length - 1) ? 0 : -1} onKeyDown={(event) => onRowKey(event, index)} onFocus={() => setActive(index)}>
                        {column.render(row)}
                      </Link>
                    ) : (
                      column.render(row)
                    )}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {found.length > shown.length && (
        <p className={classes.more}>
          {count(shown.length)} of {count(found.length)} shown.{' '}
          <button type="button" className={classes.clear} onClick={() => setAll(true)}>
            Show all
          </button>
        </p>
      )}
    </div>
  );
}

function Header<T>({ column, sort, onSort }: { column: ListColumn<T>; sort: string; onSort: (sort: string) => void }) {
  const ascending = sort === column.key;
  const descending = sort === `-${column.key}`;
  const shared = { 'data-numeric': column.numeric || undefined, 'data-wide': column.wideOnly || undefined, style: { width: column.width } };
  if (!column.sort)
    return (
      <th scope="col" {...shared}>
        {column.name}
      </th>
    );
  // Numbers are asked for from the largest, names from A.
  const next = column.numeric ? (descending ? column.key : `-${column.key}`) : ascending ? `-${column.key}` : column.key;
  return (
    <th scope="col" {...shared} aria-sort={ascending ? 'ascending' : descending ? 'descending' : 'none'}>
      <button type="button" onClick={() => onSort(next)}>
        {column.name}
        {ascending && <IconArrowUp size={14} />}
        {descending && <IconArrowDown size={14} />}
      </button>
    </th>
  );
}

function sorted<T>(rows: T[], key: (row: T) => string | number | null, descending: boolean): T[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((left, right) => {
    const a = key(left);
    const b = key(right);
    if (a === b) return 0;
    if (a === null) return 1;
    if (b === null) return -1;
    if (typeof a === 'string' && typeof b === 'string') return a.localeCompare(b, 'en', { numeric: true }) * sign;
    return (a < b ? -1 : 1) * sign;
  });
}
