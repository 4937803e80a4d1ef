import type { EChartsCoreOption } from 'echarts/core';

import type { ChartData, ChartSeries } from '../../lib/chartData';
import { compact, number } from '../../lib/format';
import { type Side, sidesOfNames } from '../../lib/pointNames';
import type { ChartSpec } from '../../services/types';
import type { ChartColours } from '../../theme/chart';

export interface Drawing {
  data: ChartData;
  spec: ChartSpec;
  colours: ChartColours;
  width: number;
  height: number;
  /** Draws less: a card instead of a page. */
  small: boolean;
  still: boolean;
}

const FONT = "'Inter Variable', Inter, system-ui, sans-serif";
const DAY = 86_400_000;

/** The engine's options for a chart. */
export function chartOption(drawing: Drawing): EChartsCoreOption {
  const { colours, spec, still, data } = drawing;
  const base = {
    useUTC: true,
    animation: !still,
    animationDuration: 150,
    animationDurationUpdate: 150,
    color: colours.categories,
    backgroundColor: 'transparent',
    textStyle: { fontFamily: FONT, fontSize: 12, color: colours.second },
    aria: { enabled: true, label: { general: { withTitle: '', withoutTitle: `A ${spec.kind} chart of ${data.yName || data.series.map((item) => item.name).join(', ')} by ${data.xName}.` } } },
    tooltip: tooltip(drawing),
  };
  if (spec.kind === 'pie') return { ...base, ...pie(drawing) };
  if (spec.kind === 'heatmap') return { ...base, ...heatmap(drawing) };
  return { ...base, ...cartesian(drawing) };
}

interface AxisItem {
  axisValue: number | string;
  seriesName: string;
  marker: string;
  value: (number | string | null)[];
}

/** The place on the axis, and each series' value there. */
function axisTooltip(items: AxisItem[], drawing: Drawing): string {
  const { data } = drawing;
  const at = items[0]?.axisValue;
  if (at === undefined) return '';
  const place = data.xKind === 'time' ? timeText(Number(at)) : data.xKind === 'number' ? `${data.xName} ${/year/i.test(data.xName) ? at : number(Number(at))}` : String(at);
  const rows = items.map((item) => {
    const value = item.value[lying(drawing) ? 0 : 1];
    const text = typeof value === 'number' ? number(value) : 'missing';
    return `<div style="display:flex;gap:16px;justify-content:space-between"><span>${item.marker}${escape(item.seriesName)}</span><b style="font-variant-numeric:tabular-nums">${text}</b></div>`;
  });
  return `<div style="margin-bottom:4px">${escape(place)}</div>${rows.join('')}`;
}

function timeText(ms: number): string {
  const text = new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
  return text.endsWith(' 00:00:00') ? text.slice(0, 10) : text;
}

function tooltip(drawing: Drawing): object {
  const { colours, spec, data } = drawing;
  const byAxis = spec.kind === 'line' || spec.kind === 'area' || spec.kind === 'bar' || spec.kind === 'histogram';
  return {
    trigger: byAxis ? 'axis' : 'item',
    axisPointer: { z: 0, type: spec.kind === 'bar' || spec.kind === 'histogram' ? 'shadow' : 'line', lineStyle: { color: colours.axis, type: 'solid' }, shadowStyle: { color: colours.line, opacity: 0.5 } },
    backgroundColor: colours.raised,
    borderColor: colours.axis,
    borderWidth: 1,
    padding: [8, 12],
    extraCssText: 'border-radius:6px;box-shadow:var(--float-shadow);border-width:0',
    textStyle: { color: colours.text, fontSize: 12, fontFamily: FONT },
    confine: true,
    transitionDuration: 0,
    ...(spec.kind === 'scatter' ? { formatter: (item: { value: number[]; seriesName: string }) => `${escape(item.seriesName)}<br>${escape(data.xName)} <b>${number(item.value[0] ?? 0)}</b><br>${escape(data.yName)} <b>${number(item.value[1] ?? 0)}</b>` } : {}),
    ...(byAxis ? { formatter: (items: AxisItem[]) => axisTooltip(items, drawing) } : {}),
    valueFormatter: (value: unknown) => (typeof value === 'number' ? number(value) : value === null || value === undefined ? 'missing' : String(value)),
  };
}

const escape = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

function valueAxis({ colours, data }: Drawing, name: string, fromZero: boolean): object {
  return {
    type: 'value',
    name,
    scale: !fromZero,
    nameTextStyle: { color: colours.quiet, fontSize: 12 },
    axisLabel: { color: colours.quiet, fontSize: 12, formatter: (value: number) => compact(value), hideOverlap: true },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: colours.line } },
    splitNumber: 4,
    ...(data.series.length === 0 ? { min: 0, max: 1 } : {}),
  };
}

function xAxis(drawing: Drawing): object {
  const { data, colours, spec, small } = drawing;
  const shared = {
    name: small ? '' : data.xName,
    nameLocation: 'middle',
    nameGap: 28,
    nameTextStyle: { color: colours.quiet, fontSize: 12 },
    axisLine: { lineStyle: { color: colours.axis } },
    axisTick: { show: false },
    splitLine: { show: spec.kind === 'scatter', lineStyle: { color: colours.line } },
    axisLabel: { color: colours.quiet, fontSize: 12, hideOverlap: true, ...(data.xKind === 'time' ? { formatter: timeLabel(data) } : {}) },
  };
  // A line's name stands where the label of the last moment would be.
  if (data.xKind === 'time' && labelled(drawing)) Object.assign(shared.axisLabel, { showMaxLabel: false });
  if (data.xKind === 'time') return { ...shared, type: 'time', splitNumber: Math.max(2, Math.floor(drawing.width / 110)), boundaryGap: spec.kind === 'bar' ? ['1%', '1%'] : undefined };
  if (data.xKind === 'number') {
    const plain = /year/i.test(data.xName) ? (value: number) => String(value) : (value: number) => compact(value);
    if (spec.kind === 'scatter') return { ...shared, type: 'value', scale: true, axisLabel: { ...shared.axisLabel, formatter: plain } };
    // The line fills the width, so the axis begins and ends at any number; only round ones are written.
    const interval = roundStep(data, Math.max(2, Math.floor(drawing.width / 60)));
    const formatter = (value: number): string => (interval && Math.abs(value / interval - Math.round(value / interval)) > 1e-6 ? '' : plain(value));
    return { ...shared, type: 'value', scale: true, min: 'dataMin', max: 'dataMax', interval, axisLabel: { ...shared.axisLabel, formatter } };
  }
  return { ...shared, type: 'category', data: data.categories, boundaryGap: spec.kind === 'bar' || spec.kind === 'histogram' };
}

/** 1, 2 or 5 times a power of ten: the smallest that cuts the axis into no more parts. */
function roundStep(data: ChartData, parts: number): number | undefined {
  const xs = data.series.flatMap((item) => item.points.map(([x]) => Number(x))).filter(Number.isFinite);
  const least = (xs.reduce((high, x) => Math.max(high, x), -Infinity) - xs.reduce((low, x) => Math.min(low, x), Infinity)) / parts;
  if (!(least > 0)) return undefined;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least);
}

/** Months for a year, days for a month, hours for a day; the larger unit where it changes. */
function timeLabel(data: ChartData): object | string {
  const xs = data.series.flatMap((item) => [item.points[0]?.[0], item.points.at(-1)?.[0]]).map(Number).filter(Number.isFinite);
  const span = Math.max(...xs) - Math.min(...xs);
  if (span > 1500 * DAY) return '{yyyy}';
  if (span > 80 * DAY) return { year: '{yyyy}', month: '{MMM}', day: '{d} {MMM}' };
  return { year: '{yyyy}', month: '{d} {MMM}', day: '{d} {MMM}', hour: '{HH}:{mm}', minute: '{HH}:{mm}', second: '{HH}:{mm}:{ss}' };
}

/** Bars lie down when their names are long or many. */
function lying({ spec, data, width }: Drawing): boolean {
  if (spec.kind !== 'bar' || data.xKind !== 'category' || data.ordered) return false;
  const longest = data.categories.reduce((most, text) => Math.max(most, text.length), 0);
  return data.categories.length * Math.max(3, longest) * 7.5 > width * 0.95 && data.categories.length <= 60;
}

/** The names of series beside their lines, when there are few and room for them. */
function labelled({ spec, data, small, width }: Drawing): boolean {
  return (spec.kind === 'line' || spec.kind === 'area') && data.series.length > 1 && data.series.length <= (small ? 4 : 6) && width > 260;
}

function cartesian(drawing: Drawing): object {
  const { spec, data, small, colours } = drawing;
  const flat = lying(drawing);
  const direct = labelled(drawing);
  const legend = data.series.length > 1 && !direct && !data.lone;
  const value = valueAxis(drawing, flat ? '' : data.yName, spec.kind !== 'line' && spec.kind !== 'scatter');
  const x = xAxis(drawing);
  const longest = Math.max(0, ...data.series.map((item) => item.name.length));
  const places = coloursByName(drawing);
  const sides = sidesOfPoints(drawing);
  const grid = {
    left: 4,
    right: direct ? Math.min(140, longest * 7 + 16) : flat ? 44 : 16,
    top: (legend ? 28 : 0) + (data.yName && !flat ? 34 : 12),
    bottom: small || flat ? 4 : 26,
    containLabel: true,
  };
  const numbers = { ...value, nameLocation: 'end', nameGap: 14, nameTextStyle: { ...(value as { nameTextStyle: object }).nameTextStyle, align: 'left', padding: [0, 0, 0, -28] } };
  const names = {
    ...x,
    name: '',
    inverse: true,
    axisLine: { show: false },
    axisLabel: { color: colours.second, fontSize: 12, width: Math.max(80, drawing.width * (small ? 0.36 : 0.3)), overflow: 'truncate', interval: 0 },
  };
  return {
    grid,
    legend: legend ? { type: 'scroll', top: 0, left: 0, icon: 'roundRect', itemWidth: 10, itemHeight: 10, itemGap: 16, textStyle: { color: colours.second, fontSize: 12 }, pageTextStyle: { color: colours.second }, pageIconColor: colours.second } : undefined,
    xAxis: flat ? { ...value, name: '', axisLabel: { show: false }, splitLine: { show: false } } : x,
    yAxis: flat ? names : numbers,
    series: data.series.map((item, index) => one(drawing, item, places.get(item.name) ?? index, { flat, direct, side: sides[index] ?? null })),
  };
}

/** Rows come in any order, and a name keeps its colour all the same. Numbers that were chosen keep theirs by their order. */
function coloursByName({ data, spec }: Drawing): Map<string, number> {
  if (!spec.series) return new Map();
  const names = data.series.map((item) => item.name).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return new Map(names.map((name, place) => [name, place]));
}

function one(drawing: Drawing, item: ChartSeries, index: number, { flat, direct, side }: { flat: boolean; direct: boolean; side: Side | null }): object {
  const { spec, data, colours, small } = drawing;
  const colour = colours.categories[data.lone ? 0 : index % colours.categories.length];
  const points = flat ? item.points.map(([name, value]) => ({ value: [value, name], itemStyle: { borderRadius: spec.stacked ? 0 : (value ?? 0) < 0 ? [3, 0, 0, 3] : [0, 3, 3, 0] } })) : item.points;
  const shared = { name: item.name, data: points, itemStyle: { color: colour } };
  if (spec.kind === 'scatter') {
    return { ...shared, type: 'scatter', symbolSize: item.points.length > 1000 ? 4 : small ? 6 : 8,
      label: { show: side !== null, formatter: '{a}', position: side ?? 'right', distance: 5, minMargin: 2, color: colours.second, fontSize: 12, opacity: 1 },
      labelLayout: { hideOverlap: true }, large: item.points.length > 5000, itemStyle: { color: colour, opacity: item.points.length > 300 ? 0.55 : 0.75 } };
  }
  if (spec.kind === 'bar' || spec.kind === 'histogram') {
    const few = data.series.length === 1 && item.points.length <= (flat ? 60 : 16) && spec.kind === 'bar';
    return {
      ...shared,
      type: 'bar',
      stack: spec.stacked ? 'all' : undefined,
      barMaxWidth: flat ? 22 : 56,
      barCategoryGap: spec.kind === 'histogram' ? '6%' : flat ? '28%' : '32%',
      itemStyle: { color: colour, borderRadius: spec.stacked || spec.kind === 'histogram' ? 0 : [3, 3, 0, 0] },
      label: { show: few && !(small && item.points.length > 20), position: flat ? 'right' : 'top', color: colours.second, fontSize: 12, formatter: (point: { value: (number | string | null)[] }) => shortNumber(point.value[flat ? 0 : 1]) },
    };
  }
  return {
    ...shared,
    type: 'line',
    stack: spec.kind === 'area' && spec.stacked ? 'all' : undefined,
    showSymbol: item.points.length <= 1,
    symbolSize: 6,
    connectNulls: false,
    lineStyle: { width: 2, color: colour },
    areaStyle: spec.kind === 'area' ? { color: colour, opacity: spec.stacked ? 0.55 : 0.16 } : undefined,
    endLabel: direct ? { show: true, formatter: '{a}', color: colour, fontSize: 12, lineHeight: 16, fontWeight: 600, distance: 6 } : undefined,
    labelLayout: direct ? { moveOverlap: 'shiftY' } : undefined,
    emphasis: { focus: 'series' },
    sampling: item.points.length > 4000 ? 'lttb' : undefined,
  };
}

/** Where the names of lone points stand. The axes' own room is guessed: the engine lays them out later. */
function sidesOfPoints({ data, width, height }: Drawing): (Side | null)[] {
  if (!data.lone) return [];
  const points = data.series.map((item) => ({ name: item.name, x: Number(item.points[0]?.[0]), y: Number(item.points[0]?.[1]) }));
  return sidesOfNames(points, { width: width - 50, height: height - 74 });
}

function shortNumber(value: unknown): string {
  if (typeof value !== 'number') return '';
  return (Math.abs(value) >= 10_000 ? compact(value) : number(value, 1)).replace('-', '−');
}

function pie({ data, colours, small }: Drawing): object {
  const points = data.series[0]?.points ?? [];
  return {
    series: [
      {
        type: 'pie',
        radius: small ? ['48%', '76%'] : ['46%', '72%'],
        data: points.map(([name, value]) => ({ name: String(name), value })),
        itemStyle: { borderColor: colours.ground, borderWidth: 2 },
        label: { color: colours.second, fontSize: 12, formatter: '{b}  {d} %' },
        labelLine: { lineStyle: { color: colours.axis } },
      },
    ],
  };
}

function heatmap({ data, colours, small, width, height }: Drawing): object {
  const cells = data.series.flatMap((item) => item.points.map(([x, value]) => [String(x), item.name, value]));
  const values = cells.map((cell) => cell[2]).filter((value): value is number => typeof value === 'number');
  const axis = { type: 'category', axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: colours.quiet, fontSize: 12, hideOverlap: true } };
  return {
    grid: { left: 4, right: 8, top: small ? 8 : 34, bottom: small ? 4 : 26, containLabel: true },
    tooltip: { trigger: 'item', formatter: (item: { value: [string, string, number] }) => `${escape(item.value[1])}, ${escape(data.xName)} ${escape(item.value[0])}<br><b>${number(item.value[2])}</b> ${escape(data.yName)}` },
    xAxis: { ...axis, data: data.categories, name: small ? '' : data.xName, nameLocation: 'middle', nameGap: 28, nameTextStyle: { color: colours.quiet } },
    // Every row has its name while the rows are as high as a line of text.
    yAxis: { ...axis, data: data.rows, inverse: true, axisLabel: { ...axis.axisLabel, ...(height - 60 >= data.rows.length * 13 ? { interval: 0, hideOverlap: false } : {}), width: Math.max(72, width * (small ? 0.32 : 0.24)), overflow: 'truncate' } },
    visualMap: {
      show: !small,
      type: 'continuous',
      orient: 'horizontal',
      right: 8,
      top: 0,
      min: Math.min(...values),
      max: Math.max(...values),
      itemWidth: 10,
      itemHeight: 120,
      text: [number(Math.max(...values)), `${data.yName}  ${number(Math.min(...values))}`],
      textStyle: { color: colours.quiet, fontSize: 12 },
      inRange: { color: colours.sequential },
    },
    series: [{ type: 'heatmap', data: cells, itemStyle: { borderColor: colours.ground, borderWidth: 1.5, borderRadius: 2 }, emphasis: { itemStyle: { borderColor: colours.text } } }],
  };
}
