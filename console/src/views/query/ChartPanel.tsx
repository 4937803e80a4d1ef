import { Checkbox, MultiSelect, Select, TextInput } from '@mantine/core';
import type { ComponentType } from 'react';

import { IconChartArea, IconChartBar, IconChartDots, IconChartHistogram, IconChartLine, IconChartPie, IconGridDots, IconHash } from '../../components/icons';
import type { ResultColumn } from '../../lib/result';
import type { ChartKind, ChartSpec } from '../../services/types';
import classes from './ChartPanel.module.css';

const KINDS: { kind: ChartKind; name: string; icon: ComponentType<{ size?: number | string; stroke?: number | string }> }[] = [
  { kind: 'bar', name: 'Bar', icon: IconChartBar },
  { kind: 'line', name: 'Line', icon: IconChartLine },
  { kind: 'area', name: 'Area', icon: IconChartArea },
  { kind: 'scatter', name: 'Scatter', icon: IconChartDots },
  { kind: 'pie', name: 'Pie', icon: IconChartPie },
  { kind: 'histogram', name: 'Histogram', icon: IconChartHistogram },
  { kind: 'heatmap', name: 'Heatmap', icon: IconGridDots },
  { kind: 'number', name: 'Number', icon: IconHash },
];

interface Props {
  columns: ResultColumn[];
  spec: ChartSpec;
  onChange: (spec: ChartSpec) => void;
}

/** Kind, axes, series. What a kind does not use is not asked. */
export function ChartPanel({ columns, spec, onChange }: Props) {
  const names = [...new Set(columns.map((column) => column.name))];
  const numbers = [...new Set(columns.filter((column) => column.kind === 'number').map((column) => column.name))];
  const set = (part: Partial<ChartSpec>): void => onChange({ ...spec, ...part });
  const pick = (kind: ChartKind): void => {
    const y = spec.y.length > 0 ? spec.y : numbers.slice(0, 1);
    const x = spec.x ?? names.find((name) => !y.includes(name)) ?? names[0] ?? null;
    set({ kind, y, x, series: kind === 'heatmap' ? (spec.series ?? names.find((name) => name !== x && !y.includes(name)) ?? null) : spec.series });
  };
  const many = ['bar', 'line', 'area'].includes(spec.kind);
  const hasX = !['number', 'histogram', 'table'].includes(spec.kind);
  const hasSeries = ['bar', 'line', 'area', 'scatter', 'heatmap'].includes(spec.kind);
  return (
    <form className={classes.panel} aria-label="Chart settings" onSubmit={(event) => event.preventDefault()}>
      <div role="radiogroup" aria-label="Kind of chart" className={classes.kinds}>
        {KINDS.map(({ kind, name, icon: Icon }) => (
          <label key={kind} className={classes.kind} data-chosen={spec.kind === kind || undefined}>
            <input type="radio" name="kind" className="hidden-visually" checked={spec.kind === kind} onChange={() => pick(kind)} />
            <Icon size={18} stroke={1.6} />
            <span>{name}</span>
          </label>
        ))}
      </div>
      {spec.kind !== 'table' && (
        <>
          {hasX && <Select label={spec.kind === 'pie' ? 'Slices' : 'Horizontal axis'} data={names} value={spec.x} onChange={(x) => set({ x })} allowDeselect={false} />}
          {many ? (
            <MultiSelect label="Vertical axis" data={numbers} value={spec.y} onChange={(y) => set({ y })} placeholder={spec.y.length === 0 ? 'Choose a number' : undefined} maxValues={8} />
          ) : (
            <Select label={spec.kind === 'heatmap' ? 'Colour' : spec.kind === 'pie' ? 'Size' : 'Value'} data={numbers} value={spec.y[0] ?? null} onChange={(y) => set({ y: y ? [y] : [] })} allowDeselect={false} />
          )}
          {hasSeries && (
            <Select
              label={spec.kind === 'heatmap' ? 'Vertical axis' : 'Split by'}
              data={names.filter((name) => !spec.y.includes(name) && name !== spec.x)}
              value={spec.series}
              onChange={(series) => set({ series })}
              clearable={spec.kind !== 'heatmap'}
              placeholder="Nothing"
              clearButtonProps={{ 'aria-label': 'Do not split' }}
            />
          )}
          {(spec.kind === 'bar' || spec.kind === 'area') && (spec.series !== null || spec.y.length > 1) && (
            <Checkbox label="Stacked" checked={spec.stacked} onChange={(event) => set({ stacked: event.currentTarget.checked })} />
          )}
          <TextInput label="Title" value={spec.title ?? ''} onChange={(event) => set({ title: event.currentTarget.value || null })} maxLength={120} autoComplete="off" />
        </>
      )}
    </form>
  );
}
