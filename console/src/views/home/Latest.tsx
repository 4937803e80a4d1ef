import { Link } from 'wouter';

import { SkeletonRows } from '../../components/Skeleton';
import { TableIcon } from '../../components/TableIcon';
import { TimeAgo } from '../../components/TimeAgo';
import { plural } from '../../lib/format';
import { links } from '../../lib/link';
import type { NamedTable } from '../../services/hooks';
import classes from './Home.module.css';

const SHOWN = 8;

/** The tables that changed last. */
export function Latest({ tables, loading }: { tables: NamedTable[]; loading: boolean }) {
  const latest = [...tables].sort((a, b) => (b.updated_at ?? '').localeCompare(a.updated_at ?? '')).slice(0, SHOWN);
  return (
    <section aria-labelledby="latest" className={classes.list}>
      <h2 id="latest">
        Latest data <Link href="/data">All tables</Link>
      </h2>
      {loading && <SkeletonRows rows={6} />}
      <ul>
        {latest.map((table) => (
          <li key={`${table.schema}.${table.name}`}>
            <Link href={links.table(table.schema, table.name)} className={classes.item}>
              <TableIcon kind={table.kind} />
              <span className="ellipsis" style={{ flex: 1 }}>
                {table.schema !== 'public' && <span className="quiet">{table.schema}.</span>}
                {table.name}
              </span>
              <span className="quiet small num">{table.rows === null ? '' : plural(table.rows, 'row')}</span>
              <span className={`quiet small ${classes.when}`}>
                <TimeAgo time={table.updated_at} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
