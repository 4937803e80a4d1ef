import { Link } from 'wouter';

import { Page } from '../../components/Page';
import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { LinkButton } from '../../components/LinkButton';
import { type ListColumn, ListTable } from '../../components/ListTable';
import { SkeletonRows } from '../../components/Skeleton';
import { TableIcon } from '../../components/TableIcon';
import { TimeAgo } from '../../components/TimeAgo';
import { IconFileUpload } from '../../components/icons';
import { bytes, count, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { type NamedTable, useTables } from '../../services/hooks';
import { SchemaFilter } from './SchemaFilter';

const quiet = (value: string | null) => value ?? <span className="quiet">–</span>;

const COLUMNS: ListColumn<NamedTable>[] = [
  {
    key: 'name',
    name: 'Name',
    sort: (table) => `${table.schema === 'public' ? '' : table.schema}.${table.name}`,
    render: (table) => (
      <>
        <TableIcon kind={table.kind} />
        <span className="ellipsis" title={`${table.schema}.${table.name}`}>
          {table.schema !== 'public' && <span className="quiet">{table.schema}.</span>}
          {table.name}
        </span>
      </>
    ),
  },
  { key: 'comment', name: 'What it is', width: '26%', wideOnly: true, render: (table) => quiet(table.comment) },
  { key: 'rows', name: 'Rows', width: 112, numeric: true, sort: (table) => table.rows, render: (table) => quiet(table.rows === null ? null : count(table.rows)) },
  { key: 'bytes', name: 'Size', width: 96, numeric: true, wideOnly: true, sort: (table) => table.bytes, render: (table) => quiet(table.bytes === null ? null : bytes(table.bytes)) },
  { key: 'files', name: 'Files', width: 80, numeric: true, wideOnly: true, sort: (table) => table.files, render: (table) => quiet(table.files === null ? null : count(table.files)) },
  { key: 'updated', name: 'Changed', width: 120, wideOnly: true, sort: (table) => table.updated_at, render: (table) => <TimeAgo time={table.updated_at} /> },
];

const WITHOUT_COMMENTS = COLUMNS.filter((column) => column.key !== 'comment');

const textOf = (table: NamedTable): string => (table.schema === 'public' ? table.name : `${table.schema}.${table.name}`);

/** Every table and view, to find one by typing. */
export default function Data() {
  const { tables, query } = useTables();
  const [schema, setSchema] = useParam('schema', '');
  const schemas = query.data?.schemas ?? [];
  const shown = schema ? tables.filter((table) => table.schema === schema) : tables;
  const filled = schemas.filter((item) => item.tables.length > 0);
  return (
    <Page
      title="Data"
      description={query.data ? (tables.length === 0 ? 'No tables yet.' : `${plural(tables.length, 'table')} in ${plural(filled.length, 'schema')}`) : 'Tables and views of the lake'}
      actions={
        tables.length > 0 && (
          <LinkButton href="/load" leftSection={<IconFileUpload size={16} />}>
            Load file
          </LinkButton>
        )
      }
    >
      {query.error && <Failure error={query.error} what="The catalog could not be read" onRetry={() => void query.refetch()} />}
      {query.isPending && <SkeletonRows rows={10} />}
      {query.data && tables.length === 0 && (
        <Empty text="Tables appear here when the first file is loaded or the first CREATE TABLE has run." action={<LinkButton href="/load">Load file</LinkButton>} more={<Link href="/">Make a sample table</Link>} />
      )}
      {tables.length > 0 && (
        <ListTable
          label="Tables"
          noun="tables"
          rows={shown}
          columns={tables.some((table) => table.comment) ? COLUMNS : WITHOUT_COMMENTS}
          rowKey={(table) => `${table.schema}.${table.name}`}
          href={(table) => links.table(table.schema, table.name)}
          text={textOf}
          defaultSort="name"
          extra={filled.length > 1 && <SchemaFilter schemas={filled} value={schema} onChange={setSchema} />}
        />
      )}
    </Page>
  );
}
