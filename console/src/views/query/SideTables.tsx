import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { IconChevronRight, IconSearch } from '../../components/icons';
import { Skeleton } from '../../components/Skeleton';
import { TableIcon } from '../../components/TableIcon';
import { TypeIcon } from '../../components/TypeIcon';
import { compact } from '../../lib/format';
import { rank } from '../../lib/rank';
import { quoteName, quoteTable } from '../../lib/sql';
import { api } from '../../services/api';
import { type NamedTable, useTables } from '../../services/hooks';
import classes from './Side.module.css';

const SHOWN_MAX = 200;
const label = (table: NamedTable): string => (table.schema === 'public' ? table.name : `${table.schema}.${table.name}`);

/** Tables to open and columns to put into the editor. */
export function SideTables({ onInsert }: { onInsert: (text: string) => void }) {
  const { tables, query } = useTables();
  const [filter, setFilter] = useState('');
  const found = rank(tables, filter, label).slice(0, SHOWN_MAX);
  return (
    <>
      <div className={classes.filter}>
        <TextInput value={filter} onChange={(event) => setFilter(event.currentTarget.value)} placeholder="Filter tables" aria-label="Filter tables" leftSection={<IconSearch size={15} />} />
      </div>
      <ul className={classes.list}>
        {query.isPending && [1, 2, 3, 4].map((place) => <li key={place} style={{ padding: 8 }}><Skeleton height={12} width={`${40 + place * 10}%`} /></li>)}
        {query.isSuccess && found.length === 0 && <li className={classes.none}>{tables.length === 0 ? 'No tables yet.' : `No table matches “${filter}”.`}</li>}
        {found.map((table) => (
          <TableNode key={label(table)} table={table} onInsert={onInsert} />
        ))}
      </ul>
    </>
  );
}

function TableNode({ table, onInsert }: { table: NamedTable; onInsert: (text: string) => void }) {
  const [open, setOpen] = useState(false);
  const detail = useQuery({ queryKey: ['table', table.schema, table.name], queryFn: () => api.table(table.schema, table.name), enabled: open });
  return (
    <li>
      <div className={classes.row}>
        <button type="button" className={classes.item} aria-expanded={open} onClick={() => setOpen(!open)} onDoubleClick={() => onInsert(quoteTable(table.schema, table.name))} title={label(table)}>
          <IconChevronRight size={13} aria-hidden="true" />
          <TableIcon kind={table.kind} size={15} />
          <span className="ellipsis">{label(table)}</span>
          {table.rows !== null && <span className={`${classes.type} num`}>{compact(table.rows)}</span>}
        </button>
      </div>
      {open && (
        <ul>
          <li>
            <button type="button" className={`${classes.item} ${classes.column}`} onClick={() => onInsert(quoteTable(table.schema, table.name))}>
              Insert the name
            </button>
          </li>
          {detail.isPending && <li><Skeleton width="60%" height={10} /></li>}
          {detail.data?.columns.map((column) => (
            <li key={column.name}>
              <button type="button" className={`${classes.item} ${classes.column}`} onClick={() => onInsert(quoteName(column.name))} title={`Insert ${column.name}`}>
                <TypeIcon type={column.type} />
                <span className="ellipsis">{column.name}</span>
                <span className={classes.type}>{column.type}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}
