import { useLocation } from 'wouter';

import { Failure } from '../../components/Failure';
import { SkeletonRows } from '../../components/Skeleton';
import { StateMark } from '../../components/StateMark';
import { TimeAgo } from '../../components/TimeAgo';
import { duration, plural } from '../../lib/format';
import { useQueries } from '../../services/hooks';
import { isOwn } from '../../services/own';
import { openSql } from '../../services/tabs';
import classes from './Home.module.css';

const SHOWN = 8;
const ASKED = 100;

/** What a statement did: a change tells the rows that it changed, a query those that it gave. */
function rowsOf(query: { rows_changed: number; rows_returned: number }): string {
  return query.rows_changed > 0 ? `${plural(query.rows_changed, 'row')} changed` : plural(query.rows_returned, 'row');
}

/** The last statements, by whatever way they came. */
export function Recent() {
  const queries = useQueries(ASKED);
  const shown = queries.data?.filter((query) => !isOwn(query)).slice(0, SHOWN);
  const [, navigate] = useLocation();
  return (
    <section aria-labelledby="recent" className={classes.list}>
      <h2 id="recent">Recent statements</h2>
      {queries.error && <Failure error={queries.error} onRetry={() => void queries.refetch()} />}
      {queries.isPending && <SkeletonRows rows={SHOWN} />}
      {shown?.length === 0 && <p className="second">Statements appear here once they have run, whichever way they came.</p>}
      <ul>
        {shown?.map((query) => (
          <li key={query.query_id}>
            <button type="button" className={classes.item} onClick={() => navigate(openSql(query.sql))}>
              <StateMark state={query.state} />
              <code className="ellipsis">{query.sql.replace(/\s+/g, ' ')}</code>
              <span className={`quiet small num ${classes.facts}`}>
                {query.state === 'failed' ? query.error?.code : rowsOf(query)} · {duration(query.elapsed_ms)}
              </span>
              <span className={`quiet small ${classes.when}`}>
                <TimeAgo time={query.started_at} />
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
