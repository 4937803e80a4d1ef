import { Checkbox, Select, TextInput } from '@mantine/core';

import { useTables } from '../../services/hooks';
import type { LoadMode, TablePreview } from '../../services/types';
import type { Draft } from './draft';
import classes from './Load.module.css';

interface Props {
  table: TablePreview;
  several: boolean;
  draft: Draft;
  onChange: (part: Partial<Draft>) => void;
}

const MODES = [
  { value: 'create', label: 'Make a new table' },
  { value: 'append', label: 'Append to the table' },
  { value: 'replace', label: 'Replace the table' },
];

/** Which table, and what to do when it is there. */
export function Target({ table, several, draft, onChange }: Props) {
  const { tables } = useTables();
  const name = draft.table ?? table.table.replace(/^public\./, '');
  const full = name.includes('.') ? name : `public.${name}`;
  const exists = tables.some((item) => `${item.schema}.${item.name}` === full);
  const warning = !several && draft.mode === 'create' && exists ? 'This table exists: choose append or replace, or another name' : undefined;
  return (
    <section className={classes.box} aria-labelledby="target">
      <h2 id="target">Load into</h2>
      {!several && <TextInput label="Table" value={name} onChange={(event) => onChange({ table: event.currentTarget.value })} error={warning} autoComplete="off" spellCheck={false} />}
      <Select label="When it is there" data={MODES} value={draft.mode} onChange={(mode) => onChange({ mode: (mode ?? 'create') as LoadMode })} allowDeselect={false} />
      <Checkbox label="Refuse the whole file when a row cannot be read" checked={draft.strict} onChange={(event) => onChange({ strict: event.currentTarget.checked })} />
      {!draft.strict && <p className="small quiet">Rows that cannot be read are kept in a table beside it, with the reason.</p>}
    </section>
  );
}
