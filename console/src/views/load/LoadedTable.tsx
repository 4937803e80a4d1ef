import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';

import { IconChartBar, IconCircleCheck } from '../../components/icons';
import { LinkButton } from '../../components/LinkButton';
import { Prose } from '../../components/Prose';
import { count, duration, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { firstChart } from '../../lib/firstChart';
import { api } from '../../services/api';
import { openSql } from '../../services/tabs';
import type { LoadReport, TableReport } from '../../services/types';
import classes from './Load.module.css';

export function splitName(table: string): [string, string] {
  const dot = table.indexOf('.');
  return dot < 0 ? ['public', table] : [table.slice(0, dot), table.slice(dot + 1)];
}

/** What came of one table of a load, and what to do next. */
export function LoadedTable({ table, report, first }: { table: TableReport; report: LoadReport; first: boolean }) {
  const [schema, name] = splitName(table.table);
  const [, navigate] = useLocation();
  const rejected = table.rows_rejected === 1 ? 'row rejected' : 'rows rejected';
  const skipped = table.sources.length > 0 && table.sources.every((source) => source.skipped);
  // The profile says which columns are worth a picture; without it the types alone decide.
  const detail = useQuery({ queryKey: ['table', schema, name], queryFn: () => api.table(schema, name) });
  const profile = useQuery({ queryKey: ['profile', schema, name, detail.data?.updated_at ?? null], queryFn: () => api.profile(schema, name), enabled: detail.isSuccess, retry: false });
  const chart = (): void => {
    if (!detail.data) return;
    const { sql, spec } = firstChart(detail.data, profile.data ?? null);
    navigate(openSql(sql, { chart: spec, view: 'chart', run: true, name: `${name}, first look` }));
  };
  return (
    <section className={classes.result} aria-label={table.table}>
      <div className={classes.resultHead} role="status">
        <IconCircleCheck size={20} color="var(--good)" aria-hidden="true" />
        <h2>{skipped ? `Already loaded into ${name}` : `Loaded into ${name}`}</h2>
      </div>
      {skipped && <p className="second">The same content was loaded into this table before, so nothing was done.</p>}
      <dl className={classes.big}>
        <div>
          <dt>{table.rows_loaded === 1 ? 'row loaded' : 'rows loaded'}</dt>
          <dd>{count(table.rows_loaded)}</dd>
        </div>
        {table.rows_rejected > 0 && (
          <div>
            <dt>{table.rejects_table ? <Link href={links.table(...splitName(table.rejects_table), 'sample')}>{rejected}</Link> : rejected}</dt>
            <dd data-care>{count(table.rows_rejected)}</dd>
          </div>
        )}
        {first && (
          <div>
            <dt>in all</dt>
            <dd>{duration(report.elapsed_ms)}</dd>
          </div>
        )}
      </dl>
      <div className={classes.buttons}>
        <Button leftSection={<IconChartBar size={16} />} onClick={chart} disabled={!detail.data || profile.isLoading}>
          Chart it
        </Button>
        <LinkButton href={links.table(schema, name)} variant="default">
          Open table
        </LinkButton>
      </div>
      {table.remarks.length > 0 && (
        <ul className="second" style={{ margin: '16px 0 0', paddingLeft: 20 }}>
          {table.remarks.map((remark) => (
            <li key={remark} className={classes.remark}>
              <Prose text={remark} />
            </li>
          ))}
        </ul>
      )}
      {table.rejects.length > 0 && <Rejects table={table} />}
    </section>
  );
}

function Rejects({ table }: { table: TableReport }) {
  return (
    <div className={classes.rejects}>
      <h3>Rows that could not be read</h3>
      <table>
        <thead>
          <tr>
            <th scope="col" style={{ width: 64 }}>
              Line
            </th>
            <th scope="col">Why</th>
            <th scope="col">The row</th>
          </tr>
        </thead>
        <tbody>
          {table.rejects.slice(0, 5).map((reject) => (
            <tr key={`${reject.source}${reject.line}${reject.column ?? ''}`}>
              <td className="num">{count(reject.line)}</td>
              <td>
                {reject.column && <span className="strong">{reject.column}: </span>}
                <Prose text={reject.reason} />
              </td>
              <td>
                <code>{reject.raw.slice(0, 200)}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {table.rejects_table && (
        <p className={classes.allRejects}>
          <Link href={links.table(...splitName(table.rejects_table), 'sample')}>{plural(table.rows_rejected, 'rejected row')} in {table.rejects_table}</Link>
        </p>
      )}
    </div>
  );
}
