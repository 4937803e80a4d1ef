import { useComputedColorScheme } from '@mantine/core';
import { useReducedMotion } from '@mantine/hooks';
import type { ECharts } from 'echarts/core';
import { type RefObject, useEffect, useMemo, useRef } from 'react';

import { chartData } from '../../lib/chartData';
import { number } from '../../lib/format';
import type { ResultSet } from '../../lib/result';
import type { ChartSpec } from '../../services/types';
import { CHART_FONT, chartColours } from '../../theme/chart';
import classes from './Chart.module.css';

interface Props {
  result: ResultSet;
  spec: ChartSpec;
  height?: number | string;
  small?: boolean;
  /** Gives the drawn chart to whoever exports it. */
  drawn?: RefObject<ECharts | null>;
}

/** One chart, or the reason why there is none. */
export function Chart({ result, spec, height = '100%', small = false, drawn }: Props) {
  const data = useMemo(() => (spec.kind === 'number' || spec.kind === 'table' ? null : chartData(result, spec)), [result, spec, result.version]);
  if (spec.kind === 'number') return <NumberTile result={result} spec={spec} height={height} small={small} />;
  if (data === null || typeof data === 'string') {
    return (
      <div className={classes.none} style={{ height }}>
        <p>No chart: {data ?? 'these columns are best read as a table'}.</p>
      </div>
    );
  }
  return (
    <div className={classes.chart} style={{ height }}>
      <DrawnChart data={data} spec={spec} small={small} drawn={drawn} />
      {data.note && !small && <p className={classes.note}>{data.note}</p>}
    </div>
  );
}

/** Without its font a chart is drawn all the same. */
const fontLoaded = (): Promise<unknown> => document.fonts.load(CHART_FONT).catch(() => null);

/** A chart of what is drawable already. */
export function DrawnChart({ data, spec, small, drawn }: { data: Exclude<ReturnType<typeof chartData>, string>; spec: ChartSpec; small: boolean; drawn?: RefObject<ECharts | null> }) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<ECharts | null>(null);
  const dark = useComputedColorScheme('light') === 'dark';
  const still = useReducedMotion();
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    let gone = false;
    let observer: ResizeObserver | null = null;
    // Labels are measured when they are drawn, so the font must be there.
    void Promise.all([import('./engine'), fontLoaded()]).then(([{ init, chartOption }]) => {
      if (gone) return;
      const made = init(element, null, { renderer: 'svg' });
      chart.current = made;
      if (drawn) drawn.current = made;
      const draw = (): void => {
        const { clientWidth: width, clientHeight: height } = element;
        if (width === 0 || height === 0) return;
        made.resize();
        made.setOption(chartOption({ data, spec, colours: chartColours(dark), width, height, small, still }), true);
      };
      observer = new ResizeObserver(draw);
      observer.observe(element);
    });
    return () => {
      gone = true;
      observer?.disconnect();
      chart.current?.dispose();
      chart.current = null;
      if (drawn) drawn.current = null;
    };
  }, [data, spec, dark, still, small, drawn]);
  return <div ref={holder} className={classes.canvas} role="img" aria-label={`Chart of ${data.yName || spec.y.join(', ')} by ${data.xName}`} />;
}

function NumberTile({ result, spec, height, small }: { result: ResultSet; spec: ChartSpec; height: number | string; small: boolean }) {
  const at = result.columns.findIndex((column) => column.name === spec.y[0]);
  const value = at >= 0 && result.rows > 0 ? result.number(0, at) : null;
  return (
    <div className={classes.tile} style={{ height }} data-small={small || undefined}>
      <span className={classes.value}>{value === null ? 'missing' : number(value, 2)}</span>
      <span className={classes.unit}>{spec.y[0]?.replaceAll('_', ' ')}</span>
    </div>
  );
}
