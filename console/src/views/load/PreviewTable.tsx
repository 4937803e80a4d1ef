import { Checkbox } from '@mantine/core';

import { IconInfoCircle } from '../../components/icons';
import { Prose } from '../../components/Prose';
import { typeFamily } from '../../components/TypeIcon';
import type { ColumnChoice, ColumnPreview, TablePreview } from '../../services/types';
import type { Draft } from './draft';
import classes from './PreviewTable.module.css';

const TYPES = ['bigint', 'double', 'text', 'boolean', 'date', 'timestamp', 'timestamptz'];
/** A long name scrolls in its field, so that its column's values stay in view. */
const NAME_SIZE_MAX = 24;

interface Props {
  table: TablePreview;
  draft: Draft;
  editable: boolean;
  onChange: (columns: Record<string, ColumnChoice>) => void;
}

/** The columns, to be renamed, retyped or left out, over the first rows. */
export function PreviewTable({ table, draft, editable, onChange }: Props) {
  const set = (source: string, part: Partial<ColumnChoice>): void => {
    onChange({ ...draft.columns, [source]: { ...draft.columns[source], source, ...part } });
  };
  const typeOf = (column: ColumnPreview): string => draft.columns[column.source]?.data_type ?? column.data_type;
  return (
    <div className={classes.scroll} tabIndex={0} role="region" aria-label="First rows">
      <table className={classes.table}>
        <thead>
          <tr>
            {table.columns.map((column) => (
              <th key={column.source} scope="col" data-skipped={draft.columns[column.source]?.skip || undefined}>
                <ColumnHead column={column} choice={draft.columns[column.source]} editable={editable} onChange={(part) => set(column.source, part)} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>
              {table.columns.map((column, place) => {
                const value = row[place] ?? null;
                return (
                  <td key={column.source} data-skipped={draft.columns[column.source]?.skip || undefined} data-numeric={typeFamily(typeOf(column)) === 'number' || undefined} title={value && value.length > 30 ? value : undefined}>
                    {value === null ? <span className={classes.missing}>null</span> : value}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {table.rows.length === 0 && <p className={classes.none}>The file has no rows below its header.</p>}
    </div>
  );
}

interface HeadProps {
  column: ColumnPreview;
  choice: ColumnChoice | undefined;
  editable: boolean;
  onChange: (part: Partial<ColumnChoice>) => void;
}

function ColumnHead({ column, choice, editable, onChange }: HeadProps) {
  const name = choice?.name ?? column.name;
  const type = choice?.data_type ?? column.data_type;
  const types = TYPES.includes(column.data_type) ? TYPES : [column.data_type, ...TYPES];
  const skipped = choice?.skip ?? false;
  if (!editable) {
    return (
      <div className={classes.head}>
        <span className="strong">{name}</span>
        <span className="small quiet">{type}</span>
      </div>
    );
  }
  return (
    <div className={classes.head}>
      <div className={classes.line}>
        <input className={classes.name} value={name} disabled={skipped} onChange={(event) => onChange({ name: event.currentTarget.value })} aria-label={`Name of column ${column.source}`} spellCheck={false} size={Math.min(NAME_SIZE_MAX, Math.max(8, name.length))} title={name.length > NAME_SIZE_MAX ? name : undefined} />
        <Checkbox size="xs" checked={!skipped} onChange={(event) => onChange({ skip: !event.currentTarget.checked })} aria-label={`Load column ${column.source}`} title="Load this column" />
      </div>
      <select className={classes.type} value={type} disabled={skipped} onChange={(event) => onChange({ data_type: event.currentTarget.value })} aria-label={`Type of column ${column.source}`}>
        {types.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
      <span className={classes.source}>
        {column.source !== name && <span title="Its name in the file">{column.source}</span>}
        {column.remark && (
          <span className={classes.remark}>
            <IconInfoCircle size={12} aria-hidden="true" /> <Prose text={column.remark} />
          </span>
        )}
      </span>
    </div>
  );
}
