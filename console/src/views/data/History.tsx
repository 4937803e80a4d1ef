import { useLocation } from 'wouter';

import { CopyButton } from '../../components/CopyButton';
import { Failure } from '../../components/Failure';
import { SkeletonRows } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { count } from '../../lib/format';
import { quoteTable } from '../../lib/sql';
import { openSql } from '../../services/tabs';
import type { TableDetail, TableVersion } from '../../services/types';
import { useHistory } from './useTable';
import classes from './History.module.css';

const WORDS: Record<string, string> = {
  created_table: 'table created',
  created_view: 'view created',
  inserted_into_table: 'rows inserted',
  deleted_from_table: 'rows deleted',
  altered_table: 'columns changed',
  altered_view: 'view changed',
  dropped_table: 'table dropped',
  dropped_view: 'view dropped',
  compacted_table: 'files compacted, no row changed',
  merge_adjacent: 'files merged, no row changed',
  rewrite_delete: 'files compacted, no row changed',
  flushed_inlined: 'files compacted, no row changed',
  inlined_insert: 'rows inserted',
  inlined_delete: 'rows deleted',
  inline_flush: 'small writes moved to files',
};

const inWords = (change: string): string => WORDS[change.replace(/:.*$/, '')] ?? change.replace(/:.*$/, '').replaceAll('_', ' ');

function summary(version: TableVersion): string {
  const words = [...new Set(version.changes.map(inWords))].join(', ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Every version that touched this table, and how to read it as it was then. */
export function History({ detail }: { detail: TableDetail }) {
  const history = useHistory(detail.schema, detail.name);
  const [, navigate] = useLocation();
  if (history.error) return <Failure error={history.error} onRetry={() => void history.refetch()} />;
  if (!history.data) return <SkeletonRows rows={4} height={56} />;
  if (history.data.length === 0) return <p className="second">No version is recorded for this {detail.kind}.</p>;
  return (
    <ol className={classes.versions}>
      {history.data.map((version, index) => (
        <li key={version.snapshot} className={classes.version} data-current={index === 0 || undefined}>
          <span className={classes.dot} aria-hidden="true" />
          <div className={classes.what}>
            <p>
              {summary(version)}
              <Delta version={version} />
              {index === 0 && <span className={classes.now}>now</span>}
            </p>
            <p className="quiet small">
              Version {version.snapshot} · <TimeAgo time={version.committed_at} />
              {version.author && ` · ${version.author}`}
              {version.message && ` · ${version.message}`}
            </p>
          </div>
          {detail.kind === 'table' && (
            <div className={classes.tools}>
              <CopyButton text={`AT (VERSION => ${version.snapshot})`} label="Copy for a query" plain={`AT (VERSION => ${version.snapshot})`} />
              <button type="button" className={classes.open} onClick={() => navigate(openSql(`SELECT *\nFROM ${quoteTable(detail.schema, detail.name)} AT (VERSION => ${version.snapshot})\nLIMIT 1000`, { run: true }))}>
                Query
              </button>
            </div>
          )}
        </li>
      ))}
    </ol>
  );
}

function Delta({ version }: { version: TableVersion }) {
  return (
    <span className="num second">
      {version.rows_added ? <span className={classes.plus}> +{count(version.rows_added)}</span> : null}
      {version.rows_removed ? <span className={classes.minus}> −{count(version.rows_removed)}</span> : null}
    </span>
  );
}
