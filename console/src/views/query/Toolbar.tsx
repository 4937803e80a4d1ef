import { ActionIcon, Button, SegmentedControl, Tooltip } from '@mantine/core';

import { useCopy } from '../../components/CopyButton';
import { IconAlertTriangle, IconCheck, IconLink, IconPlayerPlay, IconPlayerStop } from '../../components/icons';
import { links } from '../../lib/link';
import { type QueryTab, updateTab } from '../../services/tabs';
import { ExportMenu } from './ExportMenu';
import { Facts } from './Facts';
import { type PlanShown, planShown, useExplained } from './plan/useExplained';
import type { Run } from './runs';
import { SaveButton } from './SaveButton';
import classes from './Toolbar.module.css';

interface Props {
  tab: QueryTab;
  run: Run | undefined;
  onRun: () => void;
  onCancel: () => void;
  onStatement: (sql: string) => void;
}

/** Run and save on the left, what came of it on the right. */
export function Toolbar({ tab, run, onRun, onCancel, onStatement }: Props) {
  const running = run?.phase === 'running';
  const explained = useExplained(run);
  const [copied, copy] = useCopy();
  const link = (): void => {
    const extra: Record<string, string> = tab.chart && tab.view === 'chart' ? { chart: JSON.stringify(tab.chart) } : {};
    copy(location.origin + (tab.savedId ? links.savedQuery(tab.savedId) : links.querySql(tab.sql, extra)));
  };
  const shown = (run?.result?.columns.length ?? 0) > 0;
  return (
    <div className={classes.toolbar} role="toolbar" aria-label="Query">
      {running ? (
        <Button variant="default" leftSection={<IconPlayerStop size={16} />} onClick={onCancel} rightSection={<kbd className={classes.key}>Esc</kbd>}>
          Cancel
        </Button>
      ) : (
        <Button leftSection={<IconPlayerPlay size={16} />} onClick={onRun} disabled={tab.sql.trim() === ''} rightSection={<kbd className={classes.key}>Ctrl ↵</kbd>}>
          Run
        </Button>
      )}
      <SaveButton tab={tab} />
      <Tooltip label={copied ? 'Copied' : 'Copy link'}>
        <ActionIcon onClick={link} aria-label="Copy link" disabled={tab.sql.trim() === ''}>
          {copied ? <IconCheck size={16} /> : <IconLink size={16} stroke={1.7} />}
        </ActionIcon>
      </Tooltip>
      {run?.inTransaction && (
        <span className={classes.transaction}>
          <IconAlertTriangle size={14} aria-hidden="true" /> In a transaction
          <button type="button" onClick={() => onStatement('COMMIT')}>
            Commit
          </button>
          <button type="button" onClick={() => onStatement('ROLLBACK')}>
            Roll back
          </button>
        </span>
      )}
      <span className={classes.space} />
      <Facts run={run} />
      {shown && explained && (
        <SegmentedControl
          aria-label="Show the plan as"
          value={planShown(tab, explained)}
          onChange={(plan) => updateTab(tab.id, { plan: plan as PlanShown })}
          data={[...(explained.plan ? [{ value: 'plan', label: 'Plan' }] : []), { value: 'text', label: 'Text' }, { value: 'table', label: 'Table' }]}
        />
      )}
      {shown && !explained && (
        <SegmentedControl
          aria-label="Show the result as"
          value={tab.view}
          onChange={(view) => updateTab(tab.id, { view: view === 'chart' ? 'chart' : 'table' })}
          data={[
            { value: 'table', label: 'Table' },
            { value: 'chart', label: 'Chart' },
          ]}
        />
      )}
      {shown && run?.result && <ExportMenu result={run.result} tab={tab} picture={tab.view === 'chart' && !explained} />}
    </div>
  );
}
