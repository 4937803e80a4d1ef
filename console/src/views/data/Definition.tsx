import { CopyButton } from '../../components/CopyButton';
import { SqlText } from '../../components/SqlText';
import { quoteName, quoteTable } from '../../lib/sql';
import type { TableDetail } from '../../services/types';
import classes from './Definition.module.css';

/** The statement that would make this table or view. */
export function createStatement(detail: TableDetail): string {
  const name = quoteTable(detail.schema, detail.name);
  if (detail.kind === 'view') return `CREATE VIEW ${name} AS\n${(detail.sql ?? '').trim()}`;
  const width = Math.max(...detail.columns.map((column) => quoteName(column.name).length));
  const lines = detail.columns.map((column) => {
    const rest = `${column.nullable ? '' : ' NOT NULL'}${column.default === null ? '' : ` DEFAULT ${column.default}`}`;
    return `  ${quoteName(column.name).padEnd(width)} ${column.type.toUpperCase()}${rest}`;
  });
  return `CREATE TABLE ${name} (\n${lines.join(',\n')}\n)`;
}

export function Definition({ detail }: { detail: TableDetail }) {
  const name = quoteTable(detail.schema, detail.name);
  const first = detail.columns.slice(0, 4).map((column) => quoteName(column.name));
  const examples: [string, string][] = [
    [detail.kind === 'view' ? 'How it is made' : 'What would make it', createStatement(detail)],
    ['Read it', `SELECT ${first.join(', ')}\nFROM ${name}\nLIMIT 100`],
    ['From the command line', `polder sql -c 'SELECT count(*) FROM ${name}'`],
  ];
  return (
    <div className={classes.list}>
      {examples.map(([title, text]) => (
        <section key={title}>
          <div className={classes.head}>
            <h2>{title}</h2>
            <CopyButton text={text} label="Copy" />
          </div>
          <SqlText text={text} plain={text.startsWith('polder ')} />
        </section>
      ))}
    </div>
  );
}
