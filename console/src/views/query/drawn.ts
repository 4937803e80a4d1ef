import type { ECharts } from 'echarts/core';

/** The chart on the screen, for export. There is one at most: the shown tab's. */
export const drawnChart: { current: ECharts | null } = { current: null };
