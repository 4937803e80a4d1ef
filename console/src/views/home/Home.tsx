import { Page } from '../../components/Page';
import { Failure } from '../../components/Failure';
import { LinkButton } from '../../components/LinkButton';
import { Skeleton } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { IconFileUpload, IconPlus } from '../../components/icons';
import { bytes, plural } from '../../lib/format';
import { openSql } from '../../services/tabs';
import { type NamedTable, useTables } from '../../services/hooks';
import { useLocation } from 'wouter';
import { Button } from '@mantine/core';
import { EmptyLake } from './EmptyLake';
import { Recent } from './Recent';
import { Latest } from './Latest';
import { SavedCards } from './SavedCards';
import classes from './Home.module.css';

/** What is here, what ran, and what to do next. */
export default function Home() {
  const { tables, query } = useTables();
  const [, navigate] = useLocation();
  const empty = query.data !== undefined && tables.length === 0;
  return (
    <Page
      title="Home"
      description={query.data ? <Summary tables={tables} /> : <Skeleton width={280} height={14} />}
      actions={
        !empty && (
          <>
            <Button variant="default" leftSection={<IconPlus size={16} />} onClick={() => navigate(openSql(''))}>
              New query
            </Button>
            <LinkButton href="/load" leftSection={<IconFileUpload size={16} />}>
              Load file
            </LinkButton>
          </>
        )
      }
    >
      {query.error && <Failure error={query.error} what="The catalog could not be read" onRetry={() => void query.refetch()} />}
      {empty ? (
        <EmptyLake />
      ) : (
        <div className={classes.sections}>
          <SavedCards />
          <div className={classes.columns}>
            <Recent />
            <Latest tables={tables} loading={query.isPending} />
          </div>
        </div>
      )}
    </Page>
  );
}

function Summary({ tables }: { tables: NamedTable[] }) {
  if (tables.length === 0) return <>No tables yet.</>;
  const rows = tables.reduce((sum, table) => sum + (table.kind === 'table' ? (table.rows ?? 0) : 0), 0);
  const size = tables.reduce((sum, table) => sum + (table.bytes ?? 0), 0);
  const latest = tables.reduce<NamedTable | null>((best, table) => (table.updated_at && (!best?.updated_at || table.updated_at > best.updated_at) ? table : best), null);
  return (
    <span className="num">
      {plural(tables.length, 'table')} · {plural(rows, 'row')} · {bytes(size)}
      {latest && (
        <>
          {' '}
          · {latest.name} changed <TimeAgo time={latest.updated_at} />
        </>
      )}
    </span>
  );
}
