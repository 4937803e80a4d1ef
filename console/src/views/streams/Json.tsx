import { useState } from 'react';

import classes from './Json.module.css';

/** Entries of one list or object that are drawn before it is asked for the others. */
const ENTRIES_FIRST = 100;

/** Levels that stand open at first. */
const OPEN_DEPTH = 2;

/** JSON, pretty, whose objects and lists fold. */
export function Json({ value }: { value: unknown }) {
  return (
    <div className={classes.json}>
      <Node value={value} depth={0} />
    </div>
  );
}

interface Props {
  name?: string;
  value: unknown;
  depth: number;
}

function Node({ name, value, depth }: Props) {
  const [all, setAll] = useState(false);
  const label = name === undefined ? null : <span className={classes.name}>{name}: </span>;
  if (typeof value !== 'object' || value === null) {
    return (
      <div className={classes.leaf}>
        {label}
        <Leaf value={value} />
      </div>
    );
  }
  const isList = Array.isArray(value);
  const entries = Object.entries(value as Record<string, unknown>);
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  if (entries.length === 0) {
    return (
      <div className={classes.leaf}>
        {label}
        {open}
        {close}
      </div>
    );
  }
  const shown = all ? entries : entries.slice(0, ENTRIES_FIRST);
  return (
    <details className={classes.fold} open={depth < OPEN_DEPTH}>
      <summary>
        {label}
        {open}
        <span className={classes.sum}>
          {isList ? `${entries.length} ${entries.length === 1 ? 'item' : 'items'}` : `${entries.length} ${entries.length === 1 ? 'field' : 'fields'}`} {close}
        </span>
      </summary>
      <div className={classes.inside}>
        {shown.map(([key, one]) => (
          <Node key={key} name={isList ? undefined : key} value={one} depth={depth + 1} />
        ))}
        {entries.length > shown.length && (
          <button type="button" className={classes.more} onClick={() => setAll(true)}>
            {entries.length - shown.length} more
          </button>
        )}
      </div>
      <div className={classes.close}>{close}</div>
    </details>
  );
}

function Leaf({ value }: { value: unknown }) {
  if (typeof value === 'string') return <span className={classes.string}>{JSON.stringify(value)}</span>;
  return <span className={typeof value === 'number' ? classes.number : classes.word}>{String(value)}</span>;
}
