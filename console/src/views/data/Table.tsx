import { Button } from '@mantine/core';
import { useLocation, useParams } from 'wouter';

import { CopyButton } from '../../components/CopyButton';
import { Failure } from '../../components/Failure';
import { IconLink, IconTerminal2 } from '../../components/icons';
import { LinkTabs } from '../../components/LinkTabs';
import { Page } from '../../components/Page';
import { Skeleton, SkeletonRows } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { bytes, plural } from '../../lib/format';
import { useParam } from '../../lib/params';
import { quoteTable } from '../../lib/sql';
import { openSql } from '../../services/tabs';
import type { TableDetail } from '../../services/types';
import { Columns } from './Columns';
import { Definition } from './Definition';
import { History } from './History';
import { Sample } from './Sample';
import { useTable } from './useTable';

/** One table or view: its columns with a profile, a sample, its versions, its SQL. */
export default function Table() {
  const params = useParams<{ schema: string; table: string }>();
  const schema = params.schema ?? '';
  const name = params.table ?? '';
  const [tab, setTab] = useParam('tab', 'columns');
  const [, navigate] = useLocation();
  const table = useTable(schema, name);
  const full = quoteTable(schema, name);
  const detail = table.data;
  return (
    <Page
      title={name}
      above={[{ name: 'Data', href: '/data' }, ...(schema === 'public' ? [] : [{ name: schema, href: `/data?schema=${encodeURIComponent(schema)}` }])]}
      description={detail ? <About detail={detail} /> : table.error ? undefined : <Skeleton width={320} height={14} />}
      actions={
        !table.error && (
          <>
            <CopyButton text={full} label="Copy name" />
            <CopyButton text={location.href} label="Copy link" icon={<IconLink size={16} stroke={1.7} />} />
            <Button leftSection={<IconTerminal2 size={16} />} onClick={() => navigate(openSql(`SELECT *\nFROM ${full}\nLIMIT 1000`, { run: true }))}>
              Query
            </Button>
          </>
        )
      }
    >
      {table.error ? (
        <Failure error={table.error} what="It cannot be shown" onRetry={() => void table.refetch()} />
      ) : (
        <LinkTabs
          label={`Parts of ${name}`}
          value={tab}
          onChange={setTab}
          tabs={[
            { id: 'columns', name: 'Columns', count: detail?.columns.length },
            { id: 'sample', name: 'Sample' },
            { id: 'history', name: 'History' },
            { id: 'sql', name: 'SQL' },
          ]}
        >
          {!detail && <SkeletonRows rows={8} />}
          {detail && tab === 'columns' && <Columns detail={detail} />}
          {detail && tab === 'sample' && <Sample detail={detail} />}
          {detail && tab === 'history' && <History detail={detail} />}
          {detail && tab === 'sql' && <Definition detail={detail} />}
        </LinkTabs>
      )}
    </Page>
  );
}

function About({ detail }: { detail: TableDetail }) {
  const facts = [
    detail.kind === 'view' ? 'View' : null,
    detail.rows === null ? null : plural(detail.rows, 'row'),
    detail.bytes === null ? null : bytes(detail.bytes),
    detail.files === null ? null : plural(detail.files, 'file'),
  ].filter((fact) => fact !== null);
  return (
    <>
      {detail.comment && <p>{detail.comment}</p>}
      <p className="num">
        {facts.join(' · ')}
        {detail.updated_at && (
          <>
            {' '}
            · changed <TimeAgo time={detail.updated_at} />
          </>
        )}
      </p>
    </>
  );
}

