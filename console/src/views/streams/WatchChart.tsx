import { useMemo } from 'react';

import { DrawnChart } from '../../components/chart/Chart';
import type { ChartData } from '../../lib/chartData';
import { fullChart } from '../../lib/fullChart';
import type { Sample } from '../../lib/rates';
import classes from './Streams.module.css';

interface Props {
  samples: readonly Sample[];
  /** What is drawn: `records behind`. */
  name: string;
}

/** How a number went, as long as the console has looked. */
export function WatchChart({ samples, name }: Props) {
  const spec = useMemo(() => fullChart({ kind: 'area', x: 'time', y: [name] }), [name]);
  const data = useMemo<ChartData>(
    () => ({ xKind: 'time', ordered: true, xName: 'time', yName: name, categories: [], series: [{ name, points: samples.map((sample) => [sample.at, sample.value]) }], rows: [], lone: false, note: null }),
    [samples, name],
  );
  const isDrawn = samples.length > 1;
  return (
    <figure className={classes.chart} aria-label={name}>
      <div className={classes.drawing}>{isDrawn ? <DrawnChart data={data} spec={spec} small /> : <p className="quiet small">The picture begins now, and goes on while the console is open.</p>}</div>
      <figcaption className="second small">{isDrawn ? 'Since the console began to look' : `${name.charAt(0).toUpperCase()}${name.slice(1)}`}</figcaption>
    </figure>
  );
}
