import { Failure } from '../../components/Failure';
import { Grid } from '../../components/grid/Grid';
import { SkeletonRows } from '../../components/Skeleton';
import { count, plural } from '../../lib/format';
import { quoteTable } from '../../lib/sql';
import type { TableDetail } from '../../services/types';
import { useAnswer } from '../../services/useAnswer';
import classes from './Sample.module.css';

const ROWS = 200;

/** The first rows as they are. */
export function Sample({ detail }: { detail: TableDetail }) {
  const sql = `SELECT * FROM ${quoteTable(detail.schema, detail.name)} LIMIT ${ROWS}`;
  const answer = useAnswer(['sample', detail.schema, detail.name, detail.updated_at], sql, ROWS);
  if (answer.error) return <Failure error={answer.error} onRetry={() => void answer.refetch()} />;
  if (!answer.data) return <SkeletonRows rows={10} height={28} />;
  const { result } = answer.data;
  if (result.rows === 0) return <p className="second">The table has no rows.</p>;
  return (
    <>
      <div className={classes.grid} style={{ height: `min(calc(100dvh - 280px), ${result.rows * 28 + 60}px)` }}>
        <Grid result={result} version={result.version} label={`First rows of ${detail.name}`} />
      </div>
      <p className="quiet small">
        {result.rows < ROWS ? plural(result.rows, 'row') : `The first ${ROWS} rows${detail.rows === null ? '' : ` of ${count(detail.rows)}`}, in no particular order`}
      </p>
    </>
  );
}
