import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation } from 'wouter';

import { Failure } from '../../components/Failure';
import { LinkButton } from '../../components/LinkButton';
import { Page } from '../../components/Page';
import { Prose } from '../../components/Prose';
import { SkeletonRows } from '../../components/Skeleton';
import { IconFileUpload } from '../../components/icons';
import { Waiting } from '../../frame/Uploads';
import { plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useStore } from '../../lib/store';
import { api, type PreviewSource } from '../../services/api';
import { useRefresh } from '../../services/hooks';
import { queue } from '../../services/queue';
import type { TablePreview } from '../../services/types';
import { type Draft, emptyDraft, loadRequest, previewOptions, problem } from './draft';
import { PreviewTable } from './PreviewTable';
import { formatName, ReadAs } from './ReadAs';
import { Target } from './Target';
import classes from './Load.module.css';

/** What was found in a file, to be corrected before it is loaded. */
export function Preview({ from }: { from: PreviewSource }) {
  const [draft, setDraft] = useState<Draft>(emptyDraft);
  const [sheet, setSheet] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const [starting, setStarting] = useState(false);
  const [, navigate] = useLocation();
  const refresh = useRefresh();
  const options = previewOptions(draft);
  const preview = useQuery({
    queryKey: ['preview', from, options],
    queryFn: ({ signal }) => api.preview(from, options, signal),
    placeholderData: (before) => before,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });
  const tables = preview.data?.tables ?? [];
  const table = tables[Math.min(sheet, tables.length - 1)];
  const wrong = table && tables.length === 1 ? problem(draft, table) : null;
  const sent = useStore(queue).find((item) => 'upload_id' in from && item.uploadId === from.upload_id);
  const name = table ? table.source.replace(/^.*[\\/]/, '') : 'source' in from ? from.source : (sent?.name ?? 'File');
  const change = (part: Partial<Draft>): void => setDraft((before) => ({ ...before, ...part }));
  const load = async (): Promise<void> => {
    setStarting(true);
    setError(null);
    try {
      const { load_id } = await api.startLoad(loadRequest(from, draft, tables));
      refresh();
      navigate(links.loadRun(load_id));
    } catch (caught) {
      setError(caught);
      setStarting(false);
    }
  };
  return (
    <Page
      title={name}
      above={[
        { name: 'Data', href: '/data' },
        { name: 'Load', href: '/load' },
      ]}
      description={table ? <Found table={table} sheets={tables.length} /> : preview.isPending ? 'Looking at the file' : 'Not loaded'}
      actions={
        <>
          <LinkButton href="/load" variant="default">
            Other file
          </LinkButton>
          <Button leftSection={<IconFileUpload size={16} />} onClick={() => void load()} disabled={!table || wrong !== null} loading={starting}>
            Load
          </Button>
        </>
      }
    >
      <Waiting except={'upload_id' in from ? from.upload_id : ''} />
      {error !== null && <Failure error={error} what="The load could not begin" />}
      {preview.error ? <Failure error={preview.error} what="The file could not be read" onRetry={() => void preview.refetch()} /> : null}
      {preview.isPending && <SkeletonRows rows={8} />}
      {table && (
        <div className={classes.layout} aria-busy={preview.isFetching}>
          <aside className={classes.aside} aria-label="How to load it">
            <Target table={table} several={tables.length > 1} draft={draft} onChange={change} />
            <ReadAs table={table} draft={draft} onChange={change} />
          </aside>
          <div className={classes.content}>
            {tables.length > 1 && <Sheets tables={tables} shown={sheet} onShow={setSheet} />}
            {wrong && <p className={classes.wrong}>Cannot be loaded yet: {wrong}.</p>}
            {table.remarks.length > 0 && (
              <ul className={classes.remarks} aria-label="Remarks">
                {table.remarks.map((remark) => (
                  <li key={remark}>
                    <Prose text={remark} />
                  </li>
                ))}
              </ul>
            )}
            <PreviewTable table={table} draft={draft} editable={tables.length === 1} onChange={(columns) => change({ columns })} />
          </div>
        </div>
      )}
    </Page>
  );
}

function Found({ table, sheets }: { table: TablePreview; sheets: number }) {
  return (
    <span className="num">
      {formatName(table.format)} · {plural(table.columns.length, 'column')} · {plural(table.rows_seen, 'row')} looked at
      {sheets > 1 && ` · ${sheets} tables`}
    </span>
  );
}

function Sheets({ tables, shown, onShow }: { tables: TablePreview[]; shown: number; onShow: (index: number) => void }) {
  return (
    <p className={classes.sheets}>
      <span className="second">Each becomes a table of its own:</span>
      {tables.map((table, index) => (
        <button key={table.table} type="button" aria-pressed={index === shown} onClick={() => onShow(index)}>
          {table.table}
        </button>
      ))}
    </p>
  );
}
