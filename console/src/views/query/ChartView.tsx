import { Button, Tooltip } from '@mantine/core';
import { useState } from 'react';

import { Chart } from '../../components/chart/Chart';
import { copyImage } from '../../components/chart/exports';
import { IconCheck, IconCode, IconCopy } from '../../components/icons';
import { SqlText } from '../../components/SqlText';
import type { ResultSet } from '../../lib/result';
import type { ChartSpec } from '../../services/types';
import { ChartPanel } from './ChartPanel';
import { drawnChart } from './drawn';
import classes from './ChartView.module.css';

interface Props {
  result: ResultSet;
  spec: ChartSpec;
  sql: string;
  onChange: (spec: ChartSpec) => void;
}

/** A result as a chart, with a small panel to change it. */
export default function ChartView({ result, spec, sql, onChange }: Props) {
  const [showSql, setShowSql] = useState(false);
  const [copied, setCopied] = useState<boolean | null>(null);
  const copy = async (): Promise<void> => {
    const done = drawnChart.current ? await copyImage(drawnChart.current) : false;
    setCopied(done);
    setTimeout(() => setCopied(null), 2500);
  };
  return (
    <div className={classes.view}>
      <figure className={classes.figure}>
        <figcaption className={classes.head}>
          <div className={classes.title}>{spec.title && <h2 className="ellipsis">{spec.title}</h2>}</div>
          <Button variant="subtle" size="compact-sm" leftSection={<IconCode size={15} />} onClick={() => setShowSql(!showSql)} aria-expanded={showSql}>
            {showSql ? 'Hide SQL' : 'Show SQL'}
          </Button>
          {spec.kind !== 'number' && spec.kind !== 'table' && (
            <Tooltip label="The browser allows this on https and on this machine only" disabled={window.isSecureContext}>
              <Button variant="subtle" size="compact-sm" leftSection={copied ? <IconCheck size={15} /> : <IconCopy size={15} />} onClick={() => void copy()} disabled={!window.isSecureContext}>
                {copied === false ? 'Could not copy' : copied ? 'Copied' : 'Copy image'}
              </Button>
            </Tooltip>
          )}
        </figcaption>
        {showSql && <SqlText text={sql} />}
        <div className={classes.canvas}>
          <Chart result={result} spec={spec} drawn={drawnChart} />
        </div>
      </figure>
      <ChartPanel columns={result.columns} spec={spec} onChange={onChange} />
    </div>
  );
}
