// Colours of data. From Okabe and Ito's palette for colour blindness, each moved until it is at least 3:1 on its ground.
// https://jfly.uni-koeln.de/color/

export interface ChartColours {
  categories: string[];
  /** From little to much. */
  sequential: string[];
  ground: string;
  text: string;
  second: string;
  quiet: string;
  line: string;
  axis: string;
  raised: string;
}

const LIGHT: ChartColours = {
  categories: ['#0072b2', '#c77700', '#008f6b', '#b5568f', '#cf4a00', '#3494cf', '#8a7a00', '#5b6b7d'],
  sequential: ['#e6f3f1', '#b7dcd8', '#7cbfb8', '#3f9c94', '#0a746f', '#064a47'],
  ground: '#ffffff',
  text: '#0f1b28',
  second: '#465466',
  quiet: '#5c6b7c',
  line: '#edf0f3',
  axis: '#c8d1db',
  raised: '#ffffff',
};

const DARK: ChartColours = {
  categories: ['#4ea8e6', '#eda53c', '#2fc49a', '#dd8bba', '#f07c48', '#9db7ff', '#d9cb4a', '#9aa9b8'],
  sequential: ['#122a2b', '#174544', '#1e6863', '#2b8f87', '#45c4b8', '#a5ece4'],
  ground: '#0f151b',
  text: '#e7edf3',
  second: '#aebac7',
  quiet: '#8b9aaa',
  line: '#1c252e',
  axis: '#344352',
  raised: '#161e26',
};

/** What charts write with. */
export const CHART_FONT = "12px 'Inter Variable'";

export const chartColours = (dark: boolean): ChartColours => (dark ? DARK : LIGHT);
