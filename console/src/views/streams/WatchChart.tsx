import { Button } from '@mantine/core';
import { useMemo, useState } from 'react';
import { useLocation } from 'wouter';

import { DrawnChart } from '../../components/chart/Chart';
import { SqlText } from '../../components/SqlText';
import type { ChartData } from '../../lib/chartData';
import { clockTime, number } from '../../lib/format';
import { fullChart } from '../../lib/fullChart';
import type { Sample } from '../../lib/rates';
import { openSql } from '../../services/tabs';
import classes from './Streams.module.css';

interface Props {
  samples: readonly Sample[];
  /** What is drawn: `records behind`. */
  name: string;
  /** The statement that asks for the newest sample. */
  sql: string;
}

/** How a number went, as long as the console has looked: as a picture, as a table, and how it is asked for. */
export function WatchChart({ samples, name, sql }: Props) {
  const [isTable, setTable] = useState(false);
  const [isSql, setSql] = useState(false);
  const [, navigate] = useLocation();
  const spec = useMemo(() => fullChart({ kind: 'area', x: 'time', y: [name] }), [name]);
  const data = useMemo<ChartData>(
    () => ({ xKind: 'time', ordered: true, xName: 'time', yName: name, categories: [], series: [{ name, points: samples.map((sample) => [sample.at, sample.value]) }], rows: [], lone: false, note: null }),
    [samples, name],
  );
  const isDrawn = samples.length > 1;
  return (
    <figure className={classes.chart} aria-label={name}>
      <div className={classes.drawing}>
        {isTable ? <Samples samples={samples} name={name} /> : isDrawn ? <DrawnChart data={data} spec={spec} small /> : <p className="quiet small">The picture begins now, and goes on while the console is open.</p>}
      </div>
      <figcaption className={`second small ${classes.caption}`}>
        <span>
          {name.charAt(0).toUpperCase()}
          {name.slice(1)}
          {isDrawn && ', since the console began to look'}
        </span>
        <Button size="compact-xs" variant="subtle" onClick={() => setTable(!isTable)}>
          {isTable ? 'Picture' : 'Table'}
        </Button>
        <Button size="compact-xs" variant="subtle" aria-expanded={isSql} onClick={() => setSql(!isSql)}>
          {isSql ? 'Hide SQL' : 'Show SQL'}
        </Button>
      </figcaption>
      {isSql && (
        <>
          <SqlText text={sql} />
          <Button size="compact-xs" variant="subtle" onClick={() => navigate(openSql(sql, { run: true }))}>
            Query it
          </Button>
        </>
      )}
    </figure>
  );
}

/** The numbers themselves, the newest first. */
function Samples({ samples, name }: { samples: readonly Sample[]; name: string }) {
  return (
    <div className={classes.samples} tabIndex={0} role="region" aria-label={`Samples of ${name}`}>
      <table className={classes.table} aria-label={`Table of ${name}`}>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col" className={classes.numeric}>
              {name.charAt(0).toUpperCase()}
              {name.slice(1)}
            </th>
          </tr>
        </thead>
        <tbody>
          {samples.toReversed().map((sample) => (
            <tr key={sample.at}>
              <td className="num">{clockTime(sample.at)}</td>
              <td className={`num ${classes.numeric}`}>{number(sample.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
