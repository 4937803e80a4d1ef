import { useMemo } from 'react';

import { DrawnChart } from '../../components/chart/Chart';
import type { ChartData } from '../../lib/chartData';
import { fullChart } from '../../lib/fullChart';
import type { Sample } from '../../lib/rates';
import classes from './Streams.module.css';

const SPEC = fullChart({ kind: 'area', x: 'time', y: ['records behind'] });

/** How far a group was behind, as long as this page has looked. */
export function LagChart({ samples }: { samples: readonly Sample[] }) {
  const data = useMemo<ChartData>(
    () => ({ xKind: 'time', ordered: true, xName: 'time', yName: 'records behind', categories: [], series: [{ name: 'records behind', points: samples.map((sample) => [sample.at, sample.value]) }], rows: [], lone: false, note: null }),
    [samples],
  );
  return (
    <figure className={classes.chart}>
      <div className={classes.drawing}>{samples.length > 1 ? <DrawnChart data={data} spec={SPEC} small /> : <p className="quiet small">The picture begins now, and goes on while the console is open.</p>}</div>
      <figcaption className="second small">Records behind, since the console began to look</figcaption>
    </figure>
  );
}
