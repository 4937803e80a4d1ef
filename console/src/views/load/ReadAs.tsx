import { Button, Select, TextInput } from '@mantine/core';
import { useState } from 'react';

import type { LoadOptions, TablePreview } from '../../services/types';
import type { Draft } from './draft';
import classes from './Load.module.css';

const FORMATS = [
  { value: 'csv', label: 'CSV' },
  { value: 'json', label: 'JSON' },
  { value: 'parquet', label: 'Parquet' },
  { value: 'avro', label: 'Avro' },
  { value: 'excel', label: 'Excel' },
  { value: 'ods', label: 'ODS' },
  { value: 'blanks', label: 'Columns split by blanks' },
  { value: 'weblog', label: 'Web server log' },
];

/** What a format is called, and its own word where it has no name here. */
export function formatName(format: string): string {
  return FORMATS.find(({ value }) => value === format)?.label ?? format;
}

const DELIMITERS = [
  { value: ',', label: 'Comma  ,' },
  { value: ';', label: 'Semicolon  ;' },
  { value: '\t', label: 'Tab' },
  { value: '|', label: 'Bar  |' },
  { value: ':', label: 'Colon  :' },
];
const ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252', 'iso-8859-15', 'windows-1250', 'windows-1251', 'shift_jis', 'gb18030'];

interface Props {
  table: TablePreview;
  draft: Draft;
  onChange: (part: Partial<Draft>) => void;
}

const withValue = (data: { value: string; label: string }[], value: string | null | undefined) =>
  value && !data.some((item) => item.value === value) ? [...data, { value, label: value }] : data;

/** How the file is read: what was found, each changeable. A change previews again. */
export function ReadAs({ table, draft, onChange }: Props) {
  const { options } = table;
  const format = draft.options.format ?? table.format;
  const text = format === 'csv';
  const set = (part: LoadOptions): void => onChange({ options: { ...draft.options, ...part } });
  const changed = Object.keys(draft.options).length > 0;
  return (
    <section className={classes.box} aria-labelledby="read-as">
      <h2 id="read-as">Read as</h2>
      <Select label="Format" data={withValue(FORMATS, format)} value={format} onChange={(value) => set({ format: value })} allowDeselect={false} />
      {text && (
        <>
          <Select label="Separator" data={withValue(DELIMITERS, options.delimiter)} value={options.delimiter ?? null} onChange={(delimiter) => set({ delimiter })} allowDeselect={false} />
          <Select
            label="First row"
            data={[
              { value: 'yes', label: 'Names of the columns' },
              { value: 'no', label: 'Data' },
            ]}
            value={options.header === false ? 'no' : 'yes'}
            onChange={(value) => set({ header: value === 'yes' })}
            allowDeselect={false}
          />
          <Select
            label="Quotes"
            data={withValue(
              [
                { value: '"', label: 'Double  "' },
                { value: "'", label: "Single  '" },
              ],
              options.quote,
            )}
            value={options.quote ?? null}
            placeholder="None found"
            onChange={(quote) => set({ quote })}
            allowDeselect={false}
          />
        </>
      )}
      {['csv', 'json', 'blanks', 'weblog'].includes(format) && (
        <Select label="Encoding" data={withValue(ENCODINGS.map((value) => ({ value, label: value })), options.encoding)} value={options.encoding ?? null} placeholder="Found by itself" onChange={(encoding) => set({ encoding })} allowDeselect={false} searchable />
      )}
      {text && <Nulls key={(options.nulls ?? []).join()} value={options.nulls ?? []} onChange={(nulls) => set({ nulls })} />}
      {changed && (
        <Button variant="subtle" onClick={() => onChange({ options: {} })}>
          Back to what was found
        </Button>
      )}
    </section>
  );
}

/** Cells that mean missing; applied when the field is left, because each change reads the file again. */
function Nulls({ value, onChange }: { value: string[]; onChange: (nulls: string[]) => void }) {
  const [text, setText] = useState(value.join(', '));
  const apply = (): void => {
    const next = text.split(',').map((part) => part.trim()).filter((part) => part !== '');
    if (next.join() !== value.join()) onChange(next);
  };
  return (
    <TextInput
      label="Cells that mean missing"
      description="Besides the empty one; split by commas"
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={apply}
      onKeyDown={(event) => event.key === 'Enter' && apply()}
      autoComplete="off"
      spellCheck={false}
    />
  );
}
